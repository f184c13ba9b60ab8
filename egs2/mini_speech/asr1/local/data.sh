#!/usr/bin/env bash
# Generates data/{train,dev,test}; the options are those of generate_stories.py (see --help).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
# The voices are those of mini_meeting.
export PYTHONPATH="${here}/../../../mini_meeting/diar1/local:${here}/../../../..:${PYTHONPATH:-}"
exec "${python:-python3}" "${here}/generate_stories.py" "$@"
