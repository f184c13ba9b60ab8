#!/usr/bin/env bash
# DPHuBERT (Peng et al., 2023) on LibriSpeech; ./run.sh --help.
set -euo pipefail
cd -- "$(dirname -- "$0")"

exec ./ssl.sh \
    --ssl_model facebook/hubert-base-ls960 \
    --train_set train_960 --valid_set dev \
    --seed 2022 --ngpu 4 --nj 16 \
    "$@"
