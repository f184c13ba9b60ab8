#!/usr/bin/env bash
# Fine-tune before structured pruning (Han et al., 2025): from a corpus to a diarization model
# whose SSL encoder is several times smaller, scored beside the dense one.
set -euo pipefail

# General
stage=1               # First stage to run.
stop_stage=13         # Last stage to run.
redo=false            # Repeat stages that are finished.
ngpu=0                # GPUs per node; 0 trains on the CPU.
num_nodes=1           # Nodes for distributed training.
nj=2                  # Parallel jobs of data preparation.
python=python3        # Python to use.
dumpdir=dump          # Where formatted data and windows go.
expdir=exp            # Where models and results go.
seed=0                # Seed of data generation and of every training.

# Data
local_data_opts=""    # Options of local/data.sh.
train_set=train
valid_set=dev
test_sets="test"      # The first one is reported.
window_size=8         # Seconds of a training window.
window_shift=6        # Seconds from one training window to the next.
valid_window_shift=   # Seconds from one validation window to the next; default: as in training.
max_speakers=4        # Speakers told apart within one window.

# Models
ssl_model=            # Checkpoint to start from: whisper_tiny_en, a folder of ours, a Hugging Face folder or id, a WavLM .pt.
train_config=conf/train.yaml        # Fine-tuning of the dense model.
pruning_config=conf/prune.yaml      # Distillation and pruning.
distill_config=conf/distill.yaml    # Further distillation of the pruned encoder.
pruned_config=conf/train_pruned.yaml # Fine-tuning of the pruned model.
continued_config=     # Training of the dense model for as long as the pruned one takes in all; none without.
embedding_config=     # Training of a speaker embedding head on the pruned encoder; none without.
embedding_train_set=  # Its utterances of one speaker each: wav.scp and utt2spk in data/NAME.
embedding_valid_set=  # Others for validation.
train_args=""         # Further options of every fine-tuning, e.g. "--max_epoch 3".
pruning_args=""       # Further options of the pruning stage.
distill_args=""       # Further options of the further distillation.

# Checkpoints: which of those that ESPnet writes for its config's criteria
pruning_model=latest.pth            # Of the pruning stage; the one to cut units from.
inference_model=valid.loss.ave.pth  # Of every other training.

# Inference and scoring
inference_config=conf/decode.yaml
inference_nj=1        # Parallel jobs of inference, each with a share of the recordings.
gpu_inference=false   # A GPU for each of them, where a cluster is asked for jobs.
inference_variants="" # Infer and score the pruned model by conf/decode_NAME.yaml as well, e.g. "ssl bfloat16".
collar=0              # Seconds that are not scored on each side of a reference boundary.
published_dense=""    # Published DER (%) of each test set, shown beside that of the dense model.
published_pruned=""   # The same beside that of the pruned model.
published_dense_continued="" # The same beside that of the dense model that was trained on.
results_md=           # File to which the results are copied, e.g. RESULTS.md.

help_message=$(cat << EOM
Usage: $0 [--stage N] [--stop_stage N] [--name value ...]

Stages
   1  prepare the corpus (local/data.sh)     8  distil the pruned encoder further
   2  format and check the data              9  fine-tune the pruned model
   3  cut training windows                  10  infer with the dense and the pruned model
   4  import the SSL checkpoint             11  score
   5  fine-tune the dense model             12  report: table, results.json, plots
   6  distil and prune                      13  pack the pruned model
   7  apply: cut the pruned units away

A stage that has finished is skipped until what it runs changes; a killed training resumes.
EOM
)

. utils/parse_options.sh
. ./path.sh
. ./cmd.sh
. utils/stages.sh
. utils/training.sh

[ -n "${ssl_model}" ] || { echo "$0: --ssl_model is required: the checkpoint to prune" >&2; exit 2; }
if [ -n "${embedding_config}" ] && { [ -z "${embedding_train_set}" ] || [ -z "${embedding_valid_set}" ]; }; then
    echo "$0: --embedding_config needs --embedding_train_set and --embedding_valid_set, found none" >&2
    exit 2
fi

raw=${dumpdir}/raw
test_set=${test_sets%% *}

# train DIR VERB CONFIG options...: one ESPnet training over windows.
train() {
    local dir=$1 verb=$2 config=$3 labels=$4
    shift 4
    local data=() set split
    for split in train valid; do
        if [ "${split}" = train ]; then set=${train_set}; else set=${valid_set}; fi
        data+=("--${split}_data_path_and_name_and_type" "${raw}/${set}/windows,speech,window_sound")
        if "${labels}"; then
            data+=("--${split}_data_path_and_name_and_type"
                "${raw}/${set}/windows,spk_labels,window_labels_${max_speakers}")
        fi
        data+=("--${split}_shape_file" "${raw}/${set}/windows")
    done
    launch "${dir}" "${verb}" "${config}" "${data[@]}" "$@"
}

stage_1() {
    # shellcheck disable=SC2086
    run local/data.sh --seed "${seed}" --nj "${nj}" ${local_data_opts}
}

stage_2() {
    local set
    for set in ${train_set} ${valid_set} ${test_sets}; do
        verb check_data "data/${set}" --output "${raw}/${set}"
    done
}

# cut_windows SET SHIFT
cut_windows() {
    verb make_windows "${raw}/$1" \
        --window_size "${window_size}" --window_shift "$2"
}

stage_3() {
    cut_windows "${train_set}" "${window_shift}"
    cut_windows "${valid_set}" "${valid_window_shift:-${window_shift}}"
}

stage_4() {
    renew "${expdir}/ssl" verb convert "${ssl_model}"
}

# fine_tune NAME CONFIG ENCODER options...
fine_tune() {
    # shellcheck disable=SC2086
    train "${expdir}/$1_train" powerset_train "$2" true --frontend_conf "model=$(as_yaml "$3")" \
        --diarization_conf "max_speakers=${max_speakers}" \
        --diarization_conf "window_size=${window_size}" "${@:4}" ${train_args}
    verb apply_pruning "${expdir}/$1_train/${inference_model}" \
        --output "${expdir}/$1"
}

stage_5() {
    fine_tune dense "${train_config}" "${expdir}/ssl"
}

# distill NAME CONFIG STUDENT options...
distill() {
    local name=$1 config=$2 student=$3
    shift 3
    train "${expdir}/${name}_train" distill_train "${config}" false --student "${student}" \
        --teacher "${expdir}/dense/encoder" "$@"
}

stage_6() {
    # shellcheck disable=SC2086
    distill prune "${pruning_config}" "${expdir}/dense/encoder" ${pruning_args}
}

stage_7() {
    verb apply_pruning "${expdir}/prune_train/${pruning_model}" \
        --output "${expdir}/applied_encoder"
}

stage_8() {
    # shellcheck disable=SC2086
    distill distill "${distill_config}" "${expdir}/applied_encoder" ${distill_args}
    verb apply_pruning "${expdir}/distill_train/${inference_model}" \
        --output "${expdir}/pruned_encoder"
}

# The head learns from CAM++ what the voices of single utterances sound like.
train_embedding() {
    local split set dir data=()
    for split in train valid; do
        set=embedding_${split}_set
        dir=${raw}/embedding_${split}
        verb check_data "data/${!set}" --nj "${nj}" --output "${dir}"
        verb embed_utterances "${expdir}/pruned" "${dir}" --embedding campplus --output "${dir}/campplus"
        data+=("--${split}_data_path_and_name_and_type" "${dir}/wav.scp,speech,sound"
            "--${split}_data_path_and_name_and_type" "${dir}/utt2spk,speaker,text"
            "--${split}_data_path_and_name_and_type" "${dir}/campplus,embedding,text_float"
            "--${split}_shape_file" "${dir}/utt2num_samples")
    done
    launch "${expdir}/embedding_train" embedding_train "${embedding_config}" "${data[@]}" \
        --model "${expdir}/pruned" --speakers "${raw}/embedding_train/spk2utt"
    verb apply_pruning "${expdir}/embedding_train/${inference_model}" --output "${expdir}/pruned"
}

stage_9() {
    fine_tune pruned "${pruned_config}" "${expdir}/pruned_encoder"
    if [ -n "${embedding_config}" ]; then train_embedding; fi
    if [ -n "${continued_config}" ]; then
        fine_tune dense_continued "${continued_config}" "${expdir}/ssl" \
            --init_param "${expdir}/dense_train/${inference_model}"
    fi
}

models=(dense pruned)
if [ -n "${continued_config}" ]; then models+=(dense_continued); fi

# each_inference FUNCTION: call it with a test set, a model, its output folder and configuration.
each_inference() {
    local set model variant
    for set in ${test_sets}; do
        for model in "${models[@]}"; do
            "$1" "${set}" "${model}" "${expdir}/diarized_${model}" "${inference_config}"
        done
        for variant in ${inference_variants}; do
            "$1" "${set}" pruned "${expdir}/diarized_pruned/${variant}" \
                "${inference_config%.yaml}_${variant}.yaml"
        done
    done
}

infer() {
    local set=$1 model=$2 dir=$3 config=$4 gpu=0
    local command=("${python}" -m espnet_prune.bin.diarize "${expdir}/${model}" "${raw}/${set}"
        --config "${config}" --output "${dir}/${set}.rttm")
    if "${gpu_inference}"; then gpu=1; fi
    log "${dir}/${set}.rttm"
    if [ "${inference_nj}" -gt 1 ]; then
        run mkdir -p -- "${dir}"
        # Jobs on this machine share its cores; those elsewhere read path.sh there.
        # shellcheck disable=SC2086
        OMP_NUM_THREADS=$(((OMP_NUM_THREADS + inference_nj - 1) / inference_nj)) \
            run ${cuda_cmd} --gpu "${gpu}" _JOB_=1:"${inference_nj}" \
            "${dir}/${set}._JOB_.log" "${command[@]}" --part "_JOB_/${inference_nj}"
    fi
    run "${command[@]}" # also what jobs that failed have left, and the whole of it
}

score() {
    local set=$1 dir=$3
    capture "${dir}/${set}.json" verb score_der "${raw}/${set}/rttm" "${dir}/${set}.rttm" \
        --uem "${raw}/${set}/uem" --collar "${collar}" --bootstrap 10000 --seed "${seed}" --json
}

stage_10() {
    each_inference infer
}

indented() { # COMMAND...
    "$@" | sed 's/^/    /'
}

# compare SET [FUNCTION [option]]: the pruned model against the dense one; FUNCTION calls it.
compare() {
    run ${2:+"$2"} "${python}" -m espnet_prune.bin.compare_der "${raw}/$1/rttm" \
        "${expdir}/diarized_dense/$1.rttm" "${expdir}/diarized_pruned/$1.rttm" \
        --uem "${raw}/$1/uem" --collar "${collar}" --seed "${seed}" ${3:+"$3"}
}

stage_11() {
    each_inference score
    capture "${expdir}/diarized_pruned/${test_set}.difference.json" compare "${test_set}" "" --json
}

# The report, DER of every test set and its macro average, then whether the pruned model is worse.
tables_of_sets() {
    local set model published scores
    run cat "${expdir}/RESULTS.md"
    echo
    for model in "${models[@]}"; do
        published="published_${model}"
        scores=()
        for set in ${test_sets}; do scores+=("${expdir}/diarized_${model}/${set}.json"); done
        echo "### ${model}, every test set"
        echo
        # shellcheck disable=SC2086
        verb report sets "${scores[@]}" \
            ${!published:+--published ${!published}}
        echo
    done
    for set in ${test_sets}; do
        echo "### dense against pruned, ${set}"
        echo
        compare "${set}" indented
        echo
    done
}

stage_12() {
    local set model found
    verb report diarization "${expdir}" --data_dir "${raw}/${test_set}" \
        --set "${test_set}" --seed "${seed}"
    for set in ${test_sets#"${test_set}"}; do
        found=()
        for model in "${models[@]}"; do found+=("${expdir}/diarized_${model}/${set}.rttm"); done
        verb report timeline "${raw}/${set}/rttm" "${found[@]}" \
            --uem "${raw}/${set}/uem" --output "${expdir}/images/timeline_${set}.png"
    done
    capture "${expdir}/RESULTS.md" tables_of_sets
    if [ -n "${results_md}" ]; then run publish "${expdir}/RESULTS.md" --output "${results_md}"; fi
}

stage_13() {
    verb pack "${expdir}/pruned" "${expdir}/results.json" \
        --output "${expdir}/pruned.zip"
}

titles=("" "prepare the corpus" "format and check the data" "cut windows" "import the SSL checkpoint"
    "fine-tune the dense model" "distil and prune" "apply the masks" "distil further"
    "fine-tune the pruned model" "infer" "score" "report" "pack")
homes=([1]=data [2]="${dumpdir}" [3]="${dumpdir}")

run_stages
log "done; results are in ${expdir}"
