#!/usr/bin/env bash
# Generates data/{train,dev,test}; the options are those of generate_meetings.py (see --help).
set -euo pipefail

"${python:-python3}" local/generate_meetings.py "$@"
