#!/usr/bin/env bash
# Simulates the conversations of data/{train,dev,test} of the read speech in egs2/mini_corpus;
# data/ami are its clips of real meetings.
set -euo pipefail

# General
seed=0                  # Of all choices.
nj=2                    # Conversations to make at a time.
data_dir=data           # Where train, dev and test go, and in local/ what they are made of.
corpora=                # Holds speechocean762/ and LibriSpeech/; default: egs2/mini_corpus.

# Conversations
num_train=288           # For training: three hours.
num_dev=12              # Of twelve other training speakers of speechocean762.
num_test=64             # Of the test speakers.
num_speakers="2 3 4"    # Speakers of the conversations in turn.
duration=30             # Seconds at least; half as long again at most.
snr="15 30"             # Range in dB of speech over noise; empty for no noise.
speed_perturb_factors="0.9 1.0 1.1" # Of the voices for training.
rooms=                  # shoebox or a SOFA file of impulse responses; empty for none.

help_message=$(cat << EOM
Usage: $0 [--name value ...]
EOM
)

. utils/parse_options.sh
. ./path.sh

[ $# -eq 0 ] || { echo "$0: unexpected argument '$1'; $0 --help lists the options" >&2; exit 2; }

recipe=$(dirname -- "$(readlink -f -- "$0")")/..
corpora=${corpora:-${recipe}/../../mini_corpus}
sources=${data_dir}/local
read -ra speakers <<< "${num_speakers}"
options=()
if [ -n "${snr}" ]; then
    read -ra range <<< "${snr}"
    options+=(--snr "${range[@]}")
fi
if [ -n "${rooms}" ]; then options+=(--rooms "${rooms}"); fi

# prepare CORPUS FOLDER SET...
prepare() {
    local corpus=$1 folder=$2
    shift 2
    "${python:-python3}" -m espnet_prune.bin.prepare_data "${corpus}" "${corpora}/${folder}" \
        --output "${sources}/${corpus}" --allow_incomplete --audio_only --sets "$@"
}

# simulate SET NUMBER CORPUS=DIR... [options...]
simulate() {
    local set=$1 number=$2
    shift 2
    "${python:-python3}" -m egs2.mini_meeting.diar_prune1.local.simulation.simulate_conversations "$@" \
        --output "${data_dir}/${set}" --turn_taking "${recipe}/conf/turn_taking.yaml" \
        --recordings "${number}" --num_speakers "${speakers[@]}" \
        --duration "${duration}" "$(awk -v low="${duration}" 'BEGIN { print 1.5 * low }')" \
        "${options[@]}" --seed "${seed}" --nj "${nj}" --plot "${sources}/turn_taking_${set}.png"
}

prepare speechocean762 speechocean762 train dev test
prepare librispeech LibriSpeech train_clean_100 test_other
read -ra factors <<< "${speed_perturb_factors}"
simulate train "${num_train}" "speechocean762=${sources}/speechocean762/train" \
    "librispeech=${sources}/librispeech/train_clean_100" --speed_perturb_factors "${factors[@]}"
simulate dev "${num_dev}" "speechocean762=${sources}/speechocean762/dev" \
    --disjoint_from "${data_dir}/train"
simulate test "${num_test}" "speechocean762=${sources}/speechocean762/test" \
    "librispeech=${sources}/librispeech/test_other" \
    --disjoint_from "${data_dir}/train" "${data_dir}/dev"

clips=${corpora}/ami_clips
mkdir -p -- "${data_dir}/ami"
for audio in "${clips}"/*.flac; do
    name=${audio##*/}
    echo "${name%.flac} ${audio}"
done > "${data_dir}/ami/wav.scp"
for table in rttm uem; do cat -- "${clips}"/*."${table}" > "${data_dir}/ami/${table}"; done
