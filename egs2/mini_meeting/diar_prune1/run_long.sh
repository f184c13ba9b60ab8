#!/usr/bin/env bash
# The long run on two CPU cores, about two hours: three seeds, twice the steps, and the dense model
# trained on for as many steps as the pruned one takes.
set -euo pipefail
cd -- "$(dirname -- "$0")"

# General
seeds="0 1 2"         # Runs of the recipe.
python=python3        # Python to use.
expdir=exp_long       # Where each run's models and results go.
run_opts=""           # Further options of run.sh.

help_message="Usage: $0 [--name value ...]

A finished stage is skipped, so that a killed run goes on; the table is of all seeds that are finished."

. utils/parse_options.sh
. ./path.sh

# shellcheck disable=SC2086
./run.sh --python "${python}" ${run_opts} --stop_stage 3
for seed in ${seeds}; do
    # shellcheck disable=SC2086
    ./run.sh --python "${python}" ${run_opts} --stage 4 --stop_stage 12 --seed "${seed}" \
        --expdir "${expdir}/${seed}" --train_config conf/long/train.yaml \
        --pruning_config conf/long/prune.yaml --pruned_config conf/long/train_pruned.yaml \
        --continued_config conf/long/train_continued.yaml
done

# differences MODEL: of the pruned less another model, a line per seed.
differences() {
    local run
    for run in "${expdir}"/[0-9]*; do
        printf '%s\n' "- seed ${run##*/}, A: $1, B: pruned"
        "${python}" -m espnet_prune.bin.compare_der dump/raw/test/rttm "${run}/diarized_$1/test.rttm" \
            "${run}/diarized_pruned/test.rttm" --uem dump/raw/test/uem \
            | grep -e ^TOTAL -e interval
    done
}

{
    for model in dense pruned dense_continued; do
        printf '\n### %s\n\n' "${model}"
        "${python}" -m espnet_prune.bin.report sets "${expdir}"/[0-9]*/"diarized_${model}/test.json"
    done
    for model in dense dense_continued; do
        printf '\n### pruned less %s\n\n' "${model}"
        differences "${model}"
    done
} | tee "${expdir}/RESULTS.md"
