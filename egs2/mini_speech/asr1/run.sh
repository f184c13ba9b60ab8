#!/usr/bin/env bash
# Speech recognition with a pruned encoder on the embedded corpus, in minutes on two CPU cores;
# ./run.sh --help.
set -euo pipefail
cd -- "$(dirname -- "$0")"

exec ./asr.sh \
    --ssl_model ../pretrain1/wavlm_words \
    --train_set train --valid_set dev --test_sets test \
    --token_type char \
    "$@"
