#!/usr/bin/env bash
# Prepares data/{train,devel,test} of SLURP: the intent, <scenario>_<action>, then the transcript.
set -euo pipefail

slurp_dir=downloads/slurp  # Holds dataset/slurp/ and audio/{slurp_real,slurp_synth}/.
sets="train devel test"    # train is real and synthetic speech; train_real leaves the latter out.
download=false             # Download what is missing first (audio: CC BY-NC 4.0, not commercial).
allow_incomplete=false     # Prepare the part that is there if files are missing.

help_message=$(cat << EOM
Usage: $0 [--name value ...]
EOM
)

. utils/parse_options.sh
. ./path.sh

[ $# -eq 0 ] || { echo "$0: unexpected argument '$1'; $0 --help lists the options" >&2; exit 2; }

read -ra names <<< "${sets}"

if "${download}"; then
    archives=slurp_real
    if [[ " ${sets} " = *" train "* ]]; then archives+=" slurp_synth"; fi
    "$(dirname "$0")/download.sh" --archives "${archives}" "${slurp_dir}"
fi

options=()
if "${allow_incomplete}"; then options+=(--allow_incomplete); fi
"${python:-python3}" -m espnet_prune.bin.prepare_data slurp "${slurp_dir}" \
    --output data --sets "${names[@]}" "${options[@]}"
