#!/usr/bin/env bash
# Prepares meeting corpora. One corpus becomes data/{train,dev,test}; several become data/train,
# data/dev and a data/<corpus>_test of each. The recipes of single corpora call this script, too.
set -euo pipefail

corpora="ami aishell4 alimeeting"   # Which ones.
ami_dir=downloads/ami               # Holds amicorpus/ and AMI-diarization-setup/.
aishell4_dir=downloads/aishell4     # Holds train_L/, train_M/, train_S/ and test/.
alimeeting_dir=downloads/alimeeting # Holds Train_Ali_far/, Eval_Ali/ and Test_Ali/.
download=false          # Download what is missing into these folders first.
allow_incomplete=false  # Prepare the part that is there if files are missing.
nj=2                    # Recordings to convert at a time.
seed=0                  # Taken and not used: nothing here is random.

help_message=$(cat << EOM
Usage: $0 [--name value ...]
EOM
)

. utils/parse_options.sh
. ./path.sh

[ $# -eq 0 ] || { echo "$0: unexpected argument '$1'; $0 --help lists the options" >&2; exit 2; }

options=(--nj "${nj}")
if "${allow_incomplete}"; then options+=(--allow_incomplete); fi

# prepare CORPUS OUTPUT
prepare() {
    local folder=$1_dir
    folder=${!folder}
    if "${download}"; then "$(dirname "$0")/download.sh" --corpus "$1" "${folder}"; fi
    "${python:-python3}" -m espnet_prune.bin.prepare_data "$1" "${folder}" --output "$2" "${options[@]}"
}

read -ra names <<< "${corpora}"
if [ ${#names[@]} -eq 1 ]; then
    prepare "${corpora}" data
    exit
fi

for corpus in "${names[@]}"; do
    prepare "${corpus}" "data/${corpus}"
done
for set in train dev; do
    folders=("${names[@]/#/data/}")
    "${python:-python3}" -m espnet_prune.bin.check_data "${folders[@]/%//${set}}" --output "data/${set}"
done
for corpus in "${names[@]}"; do
    ln -sfn "${corpus}/test" "data/${corpus}_test"
done
