#!/usr/bin/env bash
# Speech recognition with a pruned encoder on the embedded corpus, in minutes on two CPU cores;
# ./run.sh --help.
set -euo pipefail
cd -- "$(dirname -- "$0")"

exec ./asr.sh \
    --ssl_model whisper_tiny_en \
    --continued_config conf/train_continued.yaml \
    --train_set train --valid_set dev --test_sets test \
    --token_type char \
    "$@"
