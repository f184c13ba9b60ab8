#!/usr/bin/env bash
# The whole diarization recipe on simulated conversations of real voices, on two CPU cores; ./run.sh --help.
set -euo pipefail
cd -- "$(dirname -- "$0")"

exec ./diar.sh \
    --ssl_model whisper_tiny_en \
    --train_set train --valid_set dev --test_sets "test ami" \
    --inference_nj 2 --inference_variants ssl \
    "$@"
