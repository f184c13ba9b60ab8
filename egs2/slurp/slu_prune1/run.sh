#!/usr/bin/env bash
# HJ-Pruning (Peng et al., 2023) on SLURP: intents and transcripts; ./run.sh --help.
set -euo pipefail
cd -- "$(dirname -- "$0")"

exec ./asr.sh \
    --task slu --asr_config conf/train_slu.yaml \
    --ssl_model facebook/wav2vec2-base \
    --train_set train --valid_set devel --test_sets "test devel" \
    --token_type bpe --nbpe 500 \
    --ngpu 4 --nj 16 --inference_nj 4 --gpu_inference true \
    "$@"
