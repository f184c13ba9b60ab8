#!/usr/bin/env bash
# Generates data/{train,dev,test} of asr1's sentences, more of them for training; see --help.
set -euo pipefail

exec "$(dirname "$0")/../../asr1/local/data.sh" --num_train 1200 "$@"
