#!/usr/bin/env bash
# Task-specific pruning of an SSL encoder (HJ-Pruning, Peng et al., 2023; self-pinching gates, Xu et
# al., 2025): from a corpus with transcripts to a speech recognizer or language understander whose
# encoder is several times smaller, scored beside the dense one.
set -euo pipefail

# General
stage=1               # First stage to run.
stop_stage=12         # Last stage to run.
redo=false            # Repeat stages that are finished.
ngpu=0                # GPUs per node; 0 trains on the CPU.
num_nodes=1           # Nodes for distributed training.
nj=2                  # Parallel jobs of data preparation.
inference_nj=1        # Parallel jobs of decoding.
gpu_inference=false   # Decode on a GPU per job.
python=python3        # Python to use.
dumpdir=dump          # Where formatted data go.
expdir=exp            # Where models and results go.
seed=0                # Seed of every training.

# Data
task=asr              # asr, or slu: the first word of each text is an intent.
local_data_opts=""    # Options of local/data.sh.
train_set=train
valid_set=dev
test_sets="test"
min_wav_duration=0.1  # Seconds; shorter training utterances are left out,
max_wav_duration=20   # and longer ones.
token_type=char       # bpe, char or word.
nbpe=100              # Number of pieces (bpe).
bpemode=unigram       # Kind of sentencepiece model: unigram or bpe.
bpe_nlsyms=           # Comma-separated words that stay one piece.

# Models
ssl_model=            # Checkpoint to start from: a folder of ours, a Hugging Face folder or id, a WavLM .pt.
asr_config=conf/train_asr.yaml      # Fine-tuning of the dense model.
pretrained_model=     # Model of another task to start from, e.g. exp/asr/model.pth:encoder:encoder; none without.
ignore_init_mismatch=false # Leave out what has another shape there.
asr_args=""           # Further options of every training, e.g. "--max_epoch 3".
start=fine_tuned      # What is pruned: the fine_tuned model, or the pretrained encoder in one stage.
pruning_config=conf/tuning/hj_mac.yaml  # Pruning with the task's loss.
pruning_args=""       # Further options of the pruning stage.
distill=false         # Distil from the dense model's encoder as well (distill_conf of the config).
round_to=1            # Make the widths of convolutions and FFNs multiples of this.
fine_tune_pruned=true # Train the small model further; single weights (self-pinching) would come back.
pruned_config=conf/train_pruned.yaml # Fine-tuning of the pruned model.
continued_config=     # Training of the dense model for as long as the pruned one takes in all; none without.
dense_expdir=         # Take the dense model of another expdir instead of training one.

# Checkpoints: which of those that ESPnet writes for its config's criteria
pruning_model=latest.pth            # Of the pruning stage; the one to cut units from.
inference_asr_model=valid.loss.ave.pth  # Of every other training.

# Decoding and scoring
inference_config=conf/decode.yaml
inference_args=""     # Further options of decoding.
reference_seconds=10  # Input length at which MACs are reported.
tag=pruned            # What the report calls the pruned model.
other_results=""      # Models of other experiments to report with: "NAME=exp_mac/pruned ...".
results_md=           # File to which the results are copied, e.g. RESULTS.md.

help_message=$(cat << EOM
Usage: $0 [--stage N] [--stop_stage N] [--name value ...]

Stages
   1  prepare the corpus (local/data.sh)     7  apply: cut the pruned units away
   2  format and check the data              8  fine-tune the pruned model
   3  make the token list                    9  decode with the dense and the pruned model
   4  import the SSL checkpoint             10  score: WER, CER, accuracy of intents
   5  fine-tune the dense model             11  report: table, training time, plots
   6  prune with the task's loss            12  pack the pruned model

A stage that has finished is skipped until what it runs changes; a killed training resumes.
One-stage methods: --start pretrained --fine_tune_pruned false
EOM
)

. utils/parse_options.sh
. ./path.sh
. ./cmd.sh
. utils/stages.sh
. utils/training.sh

# choice NAME VALUE...: stop unless the option has one of the values.
choice() {
    local name=$1 value
    shift
    for value in "$@"; do if [ "${!name}" = "${value}" ]; then return; fi; done
    echo "$0: expected --${name} $(IFS='|'; echo "$*"), found '${!name}'" >&2
    exit 2
}

[ -n "${ssl_model}" ] || { echo "$0: --ssl_model is required: the checkpoint to prune" >&2; exit 2; }
choice task asr slu
choice token_type bpe char word
choice start fine_tuned pretrained

raw=${dumpdir}/raw
dense_exp=${dense_expdir:-${expdir}}
dense=${dense_exp}/dense
token_dir=${dense_exp}/token_list/${token_type}
initial=()
if [ -n "${pretrained_model}" ]; then
    initial=(--init_param "${pretrained_model}" --ignore_init_mismatch "${ignore_init_mismatch}")
fi
token_opts=(--token_type "${token_type}")
if [ "${token_type}" = bpe ]; then token_opts+=(--bpemodel "${token_dir}/bpe.model"); fi

stage_1() {
    # shellcheck disable=SC2086
    run local/data.sh ${local_data_opts}
}

stage_2() {
    local set
    for set in ${train_set} ${valid_set}; do
        verb check_data "data/${set}" --output "${raw}/${set}" \
            --min_seconds "${min_wav_duration}" --max_seconds "${max_wav_duration}" --nj "${nj}"
    done
    for set in ${test_sets}; do
        verb check_data "data/${set}" --output "${raw}/${set}" --nj "${nj}"
    done
}

words_of() { # TABLE FILE: the table without its keys
    cut -d' ' -f2- "$1" > "$2"
}

# make_tokens FOLDER
make_tokens() {
    local dir=$1 options=(--token_type "${token_type}")
    run mkdir -p -- "${dir}"
    if [ "${token_type}" = bpe ]; then
        options+=(--bpemodel "${dir}/bpe.model")
        run words_of "${raw}/${train_set}/text" "${dir}/text"
        # The vocabulary of a small corpus may have less pieces than asked for.
        run "${python}" -c "import sys, sentencepiece as s; s.SentencePieceTrainer.train(
            **dict(word.split('=', 1) for word in sys.argv[1:]))" \
            "input=${dir}/text" "model_prefix=${dir}/bpe" "vocab_size=${nbpe}" \
            "model_type=${bpemode}" character_coverage=1.0 hard_vocab_limit=false \
            minloglevel=1 "user_defined_symbols=${bpe_nlsyms}"
    fi
    run "${python}" -m espnet2.bin.tokenize_text "${options[@]}" --input "${raw}/${train_set}/text" \
        --output "${dir}/tokens.txt" --field 2- --cleaner none --g2p none \
        --write_vocabulary true --add_symbol "<blank>:0" --add_symbol "<unk>:1" \
        --add_symbol "<sos/eos>:-1"
}

stage_3() {
    renew "${token_dir}" make_tokens
}

stage_4() {
    renew "${expdir}/ssl" verb convert "${ssl_model}"
}

# train NAME CONFIG ENCODER options...: one ESPnet training of a model round an encoder.
train() {
    local name=$1 config=$2 encoder=$3 data=() set split
    shift 3
    for split in train valid; do
        if [ "${split}" = train ]; then set=${train_set}; else set=${valid_set}; fi
        data+=("--${split}_data_path_and_name_and_type" "${raw}/${set}/wav.scp,speech,sound"
            "--${split}_data_path_and_name_and_type" "${raw}/${set}/text,text,text"
            "--${split}_shape_file" "${raw}/${set}/utt2num_samples")
    done
    # shellcheck disable=SC2086
    launch "${expdir}/${name}_train" "${task}_train" "${config}" \
        "${token_opts[@]}" --token_list "${token_dir}/tokens.txt" \
        --frontend_conf "model=$(as_yaml "${encoder}")" "${data[@]}" ${asr_args} "$@"
}

# fine_tune NAME CONFIG ENCODER options...: train, and keep what ESPnet's own commands load.
fine_tune() {
    train "$@"
    verb apply_pruning "${expdir}/$1_train/${inference_asr_model}" \
        --output "${expdir}/$1"
}

stage_5() {
    fine_tune dense "${asr_config}" "${expdir}/ssl" "${initial[@]}"
}

stage_6() {
    local encoder=${dense_exp}/ssl options=("${initial[@]}")
    if [ "${start}" = fine_tuned ]; then
        encoder=${dense}/encoder
        options=(--init_param "${dense}/model.pth")
    fi
    if "${distill}"; then options+=(--teacher "${dense}/encoder"); fi
    # shellcheck disable=SC2086
    train prune "${pruning_config}" "${encoder}" "${options[@]}" ${pruning_args}
}

stage_7() {
    verb apply_pruning "${expdir}/prune_train/${pruning_model}" \
        --output "${expdir}/applied" --round_to "${round_to}"
}

link() { # FOLDER INTO: its files
    ln -s -- "$1/encoder" "$1/config.yaml" "$1/model.pth" "$2"
}

stage_8() {
    run fresh "${expdir}/pruned"
    if "${fine_tune_pruned}"; then
        fine_tune pruned "${pruned_config}" "${expdir}/applied/encoder" \
            --init_param "${expdir}/applied/model.pth"
    else
        run link ../applied "${expdir}/pruned"
    fi
    if [ -n "${continued_config}" ]; then
        fine_tune dense_continued "${continued_config}" "${dense}/encoder" \
            --init_param "${dense}/model.pth"
    fi
}

# The models of this experiment: the dense one may belong to another.
models() {
    if [ -z "${dense_expdir}" ]; then echo dense; fi
    if [ -n "${continued_config}" ]; then echo dense_continued; fi
    echo pruned
}

share() { # TABLE FOLDER: the keys of each job
    local job
    for ((job = 1; job <= inference_nj; job++)); do
        awk -v n="${inference_nj}" -v j="${job}" 'NR % n == j % n' < "$1" > "$2/keys.${job}"
    done
}

gather() { # FOLDER: the texts of all jobs
    local job
    for ((job = 1; job <= inference_nj; job++)); do
        cat -- "$1/output.${job}/1best_recog/text"
    done | LC_ALL=C sort > "$1/text"
}

# decode MODEL SET FOLDER: texts of all utterances, by jobs that each take a share of them.
decode() {
    local model=${expdir}/$1 set=$2 dir=$3 gpu=0
    if "${gpu_inference}"; then gpu=1; fi
    log "${dir}/text"
    run mkdir -p -- "${dir}"
    run share "${raw}/${set}/wav.scp" "${dir}"
    # shellcheck disable=SC2086
    run ${cuda_cmd} --gpu "${gpu}" _JOB_=1:"${inference_nj}" \
        "${dir}/decode._JOB_.log" "${python}" -m "espnet2.bin.${task}_inference" \
        --config "${inference_config}" "--${task}_train_config" "${model}/config.yaml" \
        "--${task}_model_file" "${model}/model.pth" \
        --data_path_and_name_and_type "${raw}/${set}/wav.scp,speech,sound" \
        --key_file "${dir}/keys._JOB_" --output_dir "${dir}/output._JOB_" \
        --ngpu "${gpu}" ${inference_args}
    run gather "${dir}"
}

stage_9() {
    local model set
    for model in $(models); do
        for set in ${test_sets}; do
            renew "${expdir}/${model}/decoded/${set}" decode "${model}" "${set}"
        done
    done
}

stage_10() {
    local model set options=()
    if [ "${task}" = slu ]; then options+=(--intent); fi
    for model in $(models); do
        for set in ${test_sets}; do
            log "${model}, ${set}"
            verb score_asr "${raw}/${set}/text" \
                "${expdir}/${model}/decoded/${set}/text" "${options[@]}" \
                --utt2spk "${raw}/${set}/utt2spk" --output "${expdir}/${model}/${set}.json"
        done
    done
}

stage_11() {
    local trainings=() columns=("dense=${dense}") options=()
    if [ "${start}" = fine_tuned ]; then trainings+=("${dense_exp}/dense_train"); fi
    trainings+=("${expdir}/prune_train")
    if "${fine_tune_pruned}"; then trainings+=("${expdir}/pruned_train"); fi
    if [ -z "${dense_expdir}" ]; then options+=(--gather "${dense}" "${expdir}/dense_train"); fi
    if [ -n "${continued_config}" ]; then
        columns+=("dense_continued=${expdir}/dense_continued")
        options+=(--gather "${expdir}/dense_continued" "${dense_exp}/dense_train"
            "${expdir}/dense_continued_train")
    fi
    # shellcheck disable=SC2086,SC2248
    verb report speech "${columns[@]}" "${tag}=${expdir}/pruned" \
        ${other_results} "${options[@]}" --gather "${expdir}/pruned" "${trainings[@]}" \
        --sets ${test_sets} --reference_seconds "${reference_seconds}" --seed "${seed}" \
        --output "${expdir}/RESULTS.md"
    options=()
    if "${fine_tune_pruned}"; then options+=(--further "${expdir}/pruned_train"); fi
    verb report pruning "${expdir}/prune_train" "${dense}/encoder" \
        "${expdir}/pruned/encoder" "${options[@]}" --output "${expdir}/images"
    if [ -n "${results_md}" ]; then run publish "${expdir}/RESULTS.md" --output "${results_md}"; fi
}

stage_12() {
    verb pack "${expdir}/pruned" "${expdir}/RESULTS.md" --output "${expdir}/pruned.zip"
}

titles=("" "prepare the corpus" "format and check the data" "make the token list"
    "import the SSL checkpoint" "fine-tune the dense model" "prune with the task's loss"
    "apply the masks" "fine-tune the pruned model" "decode" "score" "report" "pack")
homes=([1]=data [2]="${dumpdir}")

run_stages
log "done; results are in ${expdir}"
