#!/usr/bin/env bash
# The whole diarization recipe on AliMeeting, far field; ./run.sh --help.
set -euo pipefail
cd -- "$(dirname -- "$0")"

exec ./diar.sh \
    --ssl_model microsoft/wavlm-base-plus \
    --train_set train --valid_set dev --test_sets test \
    --ngpu 4 \
    "$@"
