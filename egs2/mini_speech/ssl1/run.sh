#!/usr/bin/env bash
# DPHuBERT's method on a generated corpus, in minutes on two CPU cores; ./run.sh --help.
set -euo pipefail
cd -- "$(dirname -- "$0")"

exec ./ssl.sh \
    --ssl_model ../pretrain1/wavlm_words \
    --train_set train --valid_set dev --min_seconds 1.0 \
    --students "random uniform" \
    --probe_recipe ../slu1 \
    --probes "intent:text:../slu1/data/train:../slu1/data/test speaker:utt2spk:../slu1/data/test" \
    "$@"
