#!/usr/bin/env bash
# Prepares data/{train_960,train_100,dev}; without the other training parts: --sets "train_100 dev".
# The options are those of the script that it calls (see --help).
set -euo pipefail

exec ../../librispeech_100/asr_prune1/local/data.sh --sets "train_960 train_100 dev" "$@"
