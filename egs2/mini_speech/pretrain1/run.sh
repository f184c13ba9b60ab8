#!/usr/bin/env bash
# Makes wavlm_words, the small encoder that the recipes of mini_speech start from. The result is in
# the repository, so that this runs only when somebody wants to make it anew; ./run.sh --help.
set -euo pipefail
cd -- "$(dirname -- "$0")"

# Another seed than the recipes', so that their training utterances are not seen here.
exec ./asr.sh \
    --ssl_model ../../mini_meeting/ssl1/wavlm_mini \
    --data_seed 1000 \
    --local_data_opts "--num_train 6000 --num_test 1" \
    --train_set train --valid_set dev --test_sets test \
    --token_type char \
    --asr_config conf/train.yaml \
    --stop_stage 5 \
    "$@"
