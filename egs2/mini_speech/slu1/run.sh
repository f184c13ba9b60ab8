#!/usr/bin/env bash
# Intents and slots of spoken orders with a pruned encoder, in minutes on two CPU cores;
# ./run.sh --help.
set -euo pipefail
cd -- "$(dirname -- "$0")"

exec ./asr.sh \
    --task slu \
    --ssl_model whisper_tiny_en \
    --continued_config conf/train_continued.yaml \
    --train_set train --valid_set dev --test_sets test \
    --token_type word \
    "$@"
