#!/usr/bin/env bash
# Generates data/{train,dev,test}; the options are those of generate_both.py (see --help).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
# The voices are those of mini_meeting, the sentences those of asr1 and slu1.
shared="${here}/../../asr1/local:${here}/../../slu1/local:${here}/../../../mini_meeting/diar1/local"
export PYTHONPATH="${shared}:${here}/../../../..:${PYTHONPATH:-}"
exec "${python:-python3}" "${here}/generate_both.py" "$@"
