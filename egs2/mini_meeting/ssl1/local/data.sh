#!/usr/bin/env bash
# Generates data/{train,dev}; the options are those of generate_voices.py (see --help).
set -euo pipefail

"${python:-python3}" local/generate_voices.py "$@"
