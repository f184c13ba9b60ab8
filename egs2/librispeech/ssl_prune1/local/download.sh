#!/usr/bin/env bash
# Usage: local/download.sh FOLDER PART...; see --help of the script that it calls.
set -euo pipefail

exec ../../librispeech_100/asr_prune1/local/download.sh "$@"
