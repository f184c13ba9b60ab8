#!/usr/bin/env bash
# SUPERB with a dense or pruned encoder: s3prl's tasks, one after the other, and one table.
set -euo pipefail
cd -- "$(dirname -- "$0")"

# General
stage=1               # First stage to run.
stop_stage=6          # Last stage to run.
redo=false            # Repeat stages that are finished.
python=python3        # Python to use.
expdir=exp            # Where models and results go.
device=cuda           # Where s3prl runs.
seed=1337             # Seed of every training; 1337 is s3prl's own.

# What to run
upstream_ckpt=        # The encoder: a folder, a file, a URL or a Hugging Face id.
tag=                  # Name of the encoder in the table; default: the last part of --upstream_ckpt.
tasks="pr asr ks qbe sid asv sd er ic sf"  # Tasks, in this order.
lrs=""                # Learning rates other than those of the table, e.g. "pr=1e-3 sid=1e-2".
overrides=""          # Further overrides of s3prl's configurations, e.g. "config.runner.fp16=True".
tasks_config=conf/tasks.yaml     # Table of tasks.
published=conf/published.yaml    # Published results to show above ours; none: none.
compare=""            # Further folders of results for the table, e.g. "exp/dense".

# Data
s3prl_dir=downloads/s3prl  # Sources of s3prl 0.4.18; fetched if absent; installed: the package.
corpora_dir=/corpora       # Where the corpora are, unless said otherwise:
librispeech=               # (LibriSpeech) PR, ASR: train-clean-100, dev-clean, test-clean.
speech_commands=           # (speech_commands_v0.01) KS: training and development.
speech_commands_test=      # (speech_commands_test_set_v0.01) KS: test.
quesst14=                  # (quesst14Database) QbE.
voxceleb1=                 # (VoxCeleb1) SID, ASV: dev/wav and test/wav.
libri2mix=                 # (Libri2Mix_sd) SD: Kaldi-style train, dev, test.
iemocap=                   # (IEMOCAP_full_release) ER.
fluent=                    # (fluent_speech_commands_dataset) IC.
snips=                     # (SNIPS) SF: preprocessed as s3prl says.

help_message=$(cat << EOM
Usage: $0 --upstream_ckpt MODEL [--tasks "ic sd"] [--stage N] [--stop_stage N] [--name value ...]

Stages
   1  get s3prl's sources                      4  evaluate   (each task)
   2  check software and data  (each task)     5  score      (each task)
   3  train                    (each task)     6  put all scores in one table

A stage that has finished is skipped until what it runs changes; a killed training resumes.
Tasks: pr phonemes, asr words, ks keywords, qbe query by example, sid speakers, asv speaker
verification, sd diarization, er emotion, ic intents, sf slots. SUPERB lets the learning rate be
chosen and nothing else.
EOM
)

. utils/parse_options.sh
. ./path.sh
. utils/stages.sh

[ -n "${upstream_ckpt}" ] || { echo "$0: --upstream_ckpt is required: the encoder" >&2; exit 2; }
tag=${tag:-$(basename "${upstream_ckpt}")}

places=(
    --place "librispeech=${librispeech:-${corpora_dir}/LibriSpeech}"
    --place "lengths=data/len_for_bucket"
    --place "speech_commands=${speech_commands:-${corpora_dir}/speech_commands_v0.01}"
    --place "speech_commands_test=${speech_commands_test:-${corpora_dir}/speech_commands_test_set_v0.01}"
    --place "quesst14=${quesst14:-${corpora_dir}/quesst14Database}"
    --place "voxceleb1=${voxceleb1:-${corpora_dir}/VoxCeleb1}"
    --place "libri2mix=${libri2mix:-${corpora_dir}/Libri2Mix_sd}"
    --place "iemocap=${iemocap:-${corpora_dir}/IEMOCAP_full_release}"
    --place "fluent=${fluent:-${corpora_dir}/fluent_speech_commands_dataset}"
    --place "snips=${snips:-${corpora_dir}/SNIPS}")
if [ "${s3prl_dir}" != installed ]; then places+=(--place "s3prl=${s3prl_dir}/s3prl"); fi

# run_task ACTION
run_task() {
    local action=$1 options=() pair
    for pair in ${lrs}; do
        if [ "${pair%%=*}" = "${task}" ]; then options+=(--lr "${pair#*=}"); fi
    done
    for pair in ${overrides}; do options+=(--override "${pair}"); done
    # What is signed are s3prl's own commands.
    if "${signing}"; then
        run "${action}" "${commands[${task}]}" "${upstream_ckpt}"
        return
    fi
    run "${python}" -m egs2.superb.s3prl_prune1.local.run_task "${action}" "${task}" --tasks "${tasks_config}" \
        --upstream_ckpt "${upstream_ckpt}" --output "${results}" --seed "${seed}" \
        --device "${device}" "${places[@]}" "${options[@]}"
}

stage_1() {
    if [ "${s3prl_dir}" != installed ]; then run local/s3prl.sh "${s3prl_dir}"; fi
}

stage_2() {
    if [ "${task}" = asr ]; then
        run "${python}" local/asr_lengths.py "${librispeech:-${corpora_dir}/LibriSpeech}" data/len_for_bucket
    fi
    # s3prl caches the paths of VoxCeleb1 in its own folder and never looks whether they moved.
    if [ "${task}" = sid ]; then run rm -rf -- "${s3prl_dir}/s3prl/downstream/voxceleb1/.cache"; fi
    run "${python}" local/check_data.py "${task}" --tasks "${tasks_config}" --device "${device}" \
        "${places[@]}"
}

stage_3() {
    training_folder "${results}/${task}"
    run_task train
}

stage_4() {
    run_task evaluate
}

stage_5() {
    run_task score
}

stage_6() {
    local options=()
    if [ "${published}" != none ]; then options+=(--published "${published}"); fi
    # shellcheck disable=SC2086
    run "${python}" -m egs2.superb.s3prl_prune1.local.make_table ${compare} "${results}" --output "${results}" \
        "${options[@]}"
}

root=${expdir}
results=${root}/${tag}
titles=("" "get s3prl" "check" "train" "evaluate" "score" "table")
within() { [ "${stage}" -le "$1" ] && [ "${stop_stage}" -ge "$1" ]; }

hold "${results}"
guard
if within 1; then run_stage 1 "${titles[1]}"; fi
declare -A commands=()

# of_task STAGE: one stage of ${task}, if it is asked for.
of_task() {
    if ! within "$1"; then return; fi
    # Every task has its own record of finished stages, beside the folder that a change clears.
    local expdir=${results}/.tasks/${task}
    commands[${task}]=${commands[${task}]:-$(run_task show)}
    run_stage "$1" "${task}: ${titles[$1]}"
}

# What is missing shows before anything is trained.
for task in ${tasks}; do of_task 2; done
for task in ${tasks}; do
    for n in 3 4 5; do of_task "${n}"; done
done
if within 6; then stage_6; fi
log "done; results are in ${results}"
