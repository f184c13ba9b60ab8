#!/usr/bin/env bash
# The long run on two CPU cores, about two hours: three seeds, more steps, the dense model trained on
# for as many steps as the pruned one takes, a head for speaker embeddings. Options go to run.sh.
set -euo pipefail
cd -- "$(dirname -- "$0")"

seeds="0 1 2"
exp=exp_long

. ./path.sh
python=${python:-python3}

./run.sh "$@" --stop_stage 3
for seed in ${seeds}; do
    ./run.sh "$@" --stage 4 --stop_stage 12 --seed "${seed}" --expdir "${exp}/${seed}" \
        --train_config conf/long/train.yaml --pruning_config conf/long/prune.yaml \
        --distill_config conf/long/distill.yaml --pruned_config conf/long/train_pruned.yaml \
        --continued_config conf/long/train_continued.yaml --embedding_config conf/head.yaml \
        --embedding_train_set local/speechocean762/train --embedding_valid_set local/speechocean762/dev \
        --inference_variants "ssl head"
done

# differences MODEL: of the pruned less another model, a line per seed.
differences() {
    local seed
    for seed in ${seeds}; do
        "${python}" -m espnet_prune.bin.compare_der dump/raw/test/rttm "${exp}/${seed}/diarized_$1/test.rttm" \
            "${exp}/${seed}/diarized_pruned/test.rttm" --uem dump/raw/test/uem | tail -n 1
    done
}

{
    for scores in diarized_{dense,pruned,dense_continued,pruned/ssl,pruned/head}; do
        printf '\n### %s\n\n' "${scores}"
        "${python}" -m espnet_prune.bin.macro_der "${exp}"/[0-9]*/"${scores}/test.json"
    done
    for other in dense dense_continued; do
        printf '\n### pruned less %s\n\n' "${other}"
        differences "${other}"
    done
} | tee "${exp}/RESULTS.md"
