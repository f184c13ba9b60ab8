#!/usr/bin/env bash
# DPHuBERT's method on the embedded corpus, in minutes on two CPU cores; ./run.sh --help.
set -euo pipefail
cd -- "$(dirname -- "$0")"

exec ./ssl.sh \
    --ssl_model whisper_tiny_en \
    --train_set train --valid_set dev --min_seconds 1.0 \
    --students "random uniform" \
    --probes "intent:text:data/picovoice_barista/train:data/picovoice_barista/test
        speaker:utt2spk:data/speechocean762/test
        recognition:characters:data/speechocean762/train:data/speechocean762/test" \
    "$@"
