#!/usr/bin/env bash
# Intents and slots of spoken orders with a pruned encoder, in minutes on two CPU cores;
# ./run.sh --help.
set -euo pipefail
cd -- "$(dirname -- "$0")"

exec ./asr.sh \
    --task slu \
    --ssl_model ../pretrain1/wavlm_words \
    --train_set train --valid_set dev --test_sets test \
    --token_type word \
    "$@"
