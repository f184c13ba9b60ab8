#!/usr/bin/env bash
# Prepares data/{train,dev,test} of spoken coffee orders: the drink as the intent, then the words of
# all slots.
set -euo pipefail

picovoice_barista=../../mini_corpus/picovoice_barista  # Or data/ of Picovoice's speech-to-intent-benchmark.
allow_incomplete=true   # Prepare the part that is there: the embedded corpus is a third.

help_message=$(cat << EOM
Usage: $0 [--name value ...]
EOM
)

. utils/parse_options.sh
. ./path.sh

[ $# -eq 0 ] || { echo "$0: unexpected argument '$1'; $0 --help lists the options" >&2; exit 2; }

options=()
if "${allow_incomplete}"; then options+=(--allow_incomplete); fi
"${python:-python3}" -m espnet_prune.bin.prepare_data picovoice_barista "${picovoice_barista}" \
    --output data "${options[@]}"
