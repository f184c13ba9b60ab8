#!/usr/bin/env bash
# HJ-Pruning (Peng et al., 2023) of a Whisper encoder on speechocean762: CTC and attention over
# characters, no language model; ./run.sh --help.
set -euo pipefail
cd -- "$(dirname -- "$0")"

exec ./asr.sh \
    --ssl_model openai/whisper-base.en \
    --train_set train --valid_set dev --test_sets test \
    --token_type char \
    --ngpu 1 --nj 8 --inference_nj 4 \
    "$@"
