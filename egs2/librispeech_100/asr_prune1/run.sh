#!/usr/bin/env bash
# HJ-Pruning (Peng et al., 2023) and self-pinching gates (Xu et al., 2025) on 100 hours of
# LibriSpeech: CTC over characters, no language model; ./run.sh --help.
set -euo pipefail
cd -- "$(dirname -- "$0")"

exec ./asr.sh \
    --ssl_model facebook/wav2vec2-base \
    --train_set train_clean_100 --valid_set dev \
    --test_sets "test_clean test_other dev_clean dev_other" \
    --token_type char \
    --ngpu 4 --nj 16 --inference_nj 4 --gpu_inference true \
    "$@"
