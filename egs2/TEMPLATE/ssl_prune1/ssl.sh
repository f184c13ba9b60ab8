#!/usr/bin/env bash
# Task-agnostic compression (DPHuBERT, Peng et al., 2023): from a corpus of audio alone to an SSL
# encoder several times smaller, distilled and pruned jointly, then distilled further.
set -euo pipefail

# General
stage=1               # First stage to run.
stop_stage=10         # Last stage to run.
redo=false            # Repeat stages that are finished.
ngpu=0                # GPUs per node; 0 trains on the CPU.
num_nodes=1           # Nodes for distributed training.
nj=2                  # Parallel jobs of data preparation.
python=python3        # Python to use.
dumpdir=dump          # Where formatted data go.
expdir=exp            # Where models and results go.
seed=0                # Seed of every training.

# Data: audio alone
local_data_opts=""    # Options of local/data.sh.
train_set=train       # A data directory data/<set>, or
train_list=           # a file with the path of an audio file in each line.
valid_set=dev         # The same of validation.
valid_list=           # The same of validation.
min_seconds=2.0       # Shorter utterances are left out,
max_seconds=15.6      # and longer ones.

# Models
ssl_model=            # Checkpoint to start from: a folder of ours, a Hugging Face folder or id, a WavLM .pt.
pruning_config=conf/prune.yaml      # Distillation and pruning.
distill_config=conf/distill.yaml    # Further distillation of the pruned encoder.
pruning_args=""       # Further options of the pruning stage.
distill_args=""       # Further options of the further distillation.
round_to=1            # Make the widths of convolutions and FFNs multiples of this.

# Checkpoints: which of those that ESPnet writes for its config's criteria
pruning_model=latest.pth            # Of the pruning stage; the one to cut units from.
distill_model=latest.pth            # Of the other trainings.

# Comparison: students of the same size that nothing was pruned to
students=             # "random" (the pruned shape, fresh weights), "uniform" (the teacher's first units).
student_config=conf/distill_student.yaml  # Their distillation.
student_args=""       # Further options of it.

# Probing with linear classifiers; SUPERB itself is egs2/superb/s3prl_prune1
probes="speaker:utt2spk:data/dev"  # NAME:LABELS:TRAIN or NAME:LABELS:TRAIN:TEST; see probe_encoder --help.
other_results=        # Results of other seeds to report with: "exp_seed1/probe.json ...".
results_md=           # File to which the results are copied, e.g. RESULTS.md.

help_message=$(cat << EOM
Usage: $0 [--stage N] [--stop_stage N] [--name value ...]

Stages
   1  prepare the corpus (local/data.sh)     6  distil the pruned encoder further
   2  format and check the data              7  distil --students of the same size without pruning
   3  import the SSL checkpoint              8  probe every encoder
   4  distil and prune                       9  report: sizes, accuracies, plots
   5  apply: cut the pruned units away      10  pack the pruned encoder

A stage that has finished is skipped until what it runs changes; a killed training resumes.
The encoder is exp/pruned_encoder. SUPERB: ../../superb/s3prl_prune1/run.sh --upstream_ckpt exp/pruned_encoder
EOM
)

. utils/parse_options.sh
. ./path.sh
. ./cmd.sh
. utils/stages.sh
. utils/training.sh

[ -n "${ssl_model}" ] || { echo "$0: --ssl_model is required: the checkpoint to prune" >&2; exit 2; }

raw=${dumpdir}/raw

stage_1() {
    # A list of audio files for each set needs no preparation.
    if [ -n "${train_list}" ] && [ -n "${valid_list}" ]; then return; fi
    # shellcheck disable=SC2086
    run local/data.sh ${local_data_opts}
}

# format SOURCE SET: check audio, leave out what is too short or long.
format() {
    verb check_data "$1" --output "${raw}/$2" \
        --min_seconds "${min_seconds}" --max_seconds "${max_seconds}" --nj "${nj}"
}

stage_2() {
    format "${train_list:-data/${train_set}}" "${train_set}"
    format "${valid_list:-data/${valid_set}}" "${valid_set}"
}

stage_3() {
    renew "${expdir}/ssl" verb convert "${ssl_model}"
}

# distill NAME CONFIG STUDENT options...: one training with the dense encoder as the teacher.
distill() {
    local name=$1 config=$2 student=$3 data=() set split
    shift 3
    for split in train valid; do
        if [ "${split}" = train ]; then set=${train_set}; else set=${valid_set}; fi
        data+=("--${split}_data_path_and_name_and_type" "${raw}/${set}/wav.scp,speech,sound"
            "--${split}_shape_file" "${raw}/${set}/utt2num_samples")
    done
    launch "${expdir}/${name}_train" distill_train "${config}" \
        --student "${student}" --teacher "${expdir}/ssl" "${data[@]}" "$@"
}

# export_encoder TRAINING CHECKPOINT ENCODER options...
# probing NAME arguments...: a command of this template's folder probing.
probing() {
    local name=$1
    shift
    run "${python}" -m "egs2.TEMPLATE.ssl_prune1.probing.${name}" "$@"
}

export_encoder() {
    local training=$1 checkpoint=$2 encoder=$3
    shift 3
    verb apply_pruning "${expdir}/${training}_train/${checkpoint}" \
        --output "${expdir}/${encoder}" "$@"
}

stage_4() {
    # shellcheck disable=SC2086
    distill prune "${pruning_config}" "${expdir}/ssl" ${pruning_args}
}

stage_5() {
    export_encoder prune "${pruning_model}" applied_encoder --round_to "${round_to}"
}

stage_6() {
    # shellcheck disable=SC2086
    distill distill "${distill_config}" "${expdir}/applied_encoder" ${distill_args}
    export_encoder distill "${distill_model}" pruned_encoder
}

stage_7() {
    local kind
    for kind in ${students}; do
        probing make_student "${kind}" "${expdir}/applied_encoder" \
            "${expdir}/ssl" --output "${expdir}/${kind}_student" --seed "${seed}"
        # shellcheck disable=SC2086
        distill "${kind}" "${student_config}" "${expdir}/${kind}_student" ${student_args}
        export_encoder "${kind}" "${distill_model}" "${kind}_encoder"
    done
}

stage_8() {
    local kind probe fields options=() encoders=("dense=${expdir}/ssl" "pruned=${expdir}/pruned_encoder")
    for kind in ${students}; do encoders+=("${kind}=${expdir}/${kind}_encoder"); done
    for probe in ${probes}; do
        IFS=: read -r -a fields <<< "${probe}"
        options+=(--probe "${fields[@]}")
    done
    probing probe_encoder "${encoders[@]}" "${options[@]}" \
        --seed "${seed}" --output "${expdir}/probe.json"
}

stage_9() {
    local kind trainings=("${expdir}/prune_train" "${expdir}/distill_train")
    for kind in ${students}; do trainings+=("${expdir}/${kind}_train"); done
    # shellcheck disable=SC2086
    probing probe_report "${expdir}/probe.json" ${other_results} \
        --training "${trainings[@]}" --output "${expdir}/RESULTS.md"
    verb report pruning "${expdir}/prune_train" "${expdir}/ssl" \
        "${expdir}/pruned_encoder" --further "${expdir}/distill_train" --output "${expdir}/images"
    if [ -n "${results_md}" ]; then run publish "${expdir}/RESULTS.md" --output "${results_md}"; fi
}

stage_10() {
    verb pack "${expdir}/pruned_encoder" "${expdir}/probe.json" \
        --output "${expdir}/pruned_encoder.zip"
}

titles=("" "prepare the corpus" "format and check the data" "import the SSL checkpoint"
    "distil and prune" "apply the masks" "distil further" "distil students without pruning" "probe"
    "report" "pack")
homes=([1]=data [2]="${dumpdir}")

run_stages
log "done; results are in ${expdir}"
