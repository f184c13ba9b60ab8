#!/usr/bin/env bash
# Intents and slots of spoken orders with a pruned encoder, in minutes on two CPU cores, from the
# recognizer of ../asr_prune1, whose recipe runs as far if it has not; ./run.sh --help.
set -euo pipefail
cd -- "$(dirname -- "$0")"

recognizer=../asr_prune1/exp/dense/model.pth
case " $* " in *" --help "* | *" -h "* | *" --pretrained_model "*) ;; *)
    [ -e "${recognizer}" ] || (cd ../asr_prune1 && ./run.sh --stop_stage 5) ;;
esac

exec ./asr.sh \
    --task slu \
    --ssl_model whisper_tiny_en \
    --pretrained_model "${recognizer}" --ignore_init_mismatch true \
    --continued_config conf/train_continued.yaml \
    --train_set train --valid_set dev --test_sets test \
    --token_type word \
    "$@"
