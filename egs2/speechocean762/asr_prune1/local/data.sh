#!/usr/bin/env bash
# Prepares data/{train,dev,test} of speechocean762; dev is 12 training speakers that are left out.
# The recipe mini_speech/asr_prune1 calls this script, too.
set -euo pipefail

speechocean762=downloads/speechocean762  # Holds train/, test/ and WAVE/; audio of any format.
sets="train dev test"   # Also train_dev, all training speakers.
download=false          # Download what is missing into this folder first (0.5 GB, CC BY 4.0).
allow_incomplete=false  # Prepare the part that is there if files are missing.

help_message=$(cat << EOM
Usage: $0 [--name value ...]
EOM
)

. utils/parse_options.sh
. ./path.sh

[ $# -eq 0 ] || { echo "$0: unexpected argument '$1'; $0 --help lists the options" >&2; exit 2; }

if "${download}"; then "$(dirname "$0")/download.sh" "${speechocean762}"; fi

read -ra names <<< "${sets}"
options=()
if "${allow_incomplete}"; then options+=(--allow_incomplete); fi
"${python:-python3}" -m espnet_prune.bin.prepare_data speechocean762 "${speechocean762}" \
    --output data --sets "${names[@]}" "${options[@]}"
