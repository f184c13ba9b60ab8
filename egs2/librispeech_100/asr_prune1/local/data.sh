#!/usr/bin/env bash
# Prepares sets of LibriSpeech in data/<set>. The recipe librispeech/ssl_prune1 calls this script, too.
set -euo pipefail

librispeech_dir=downloads/LibriSpeech  # Holds train-clean-100/, dev-clean/ and so on; audio of any format.
sets="train_clean_100 dev dev_clean dev_other test_clean test_other"  # Also train_960, train_100.
download=false          # Download what is missing into this folder first (CC BY 4.0).
allow_incomplete=false  # Prepare the part that is there if files are missing.
audio_only=false        # Transcripts are neither needed nor written.

help_message=$(cat << EOM
Usage: $0 [--name value ...]
EOM
)

. utils/parse_options.sh
. ./path.sh

[ $# -eq 0 ] || { echo "$0: unexpected argument '$1'; $0 --help lists the options" >&2; exit 2; }

read -ra names <<< "${sets}"

if "${download}"; then
    parts=()
    for name in "${names[@]}"; do
        case "${name}" in
            train_960) parts+=(train-clean-100 train-clean-360 train-other-500) ;;
            train_100) parts+=(train-clean-100) ;;
            dev) parts+=(dev-clean dev-other) ;;
            *) parts+=("${name//_/-}") ;;
        esac
    done
    "$(dirname "$0")/download.sh" "${librispeech_dir}" "${parts[@]}"
fi

options=()
if "${allow_incomplete}"; then options+=(--allow_incomplete); fi
if "${audio_only}"; then options+=(--audio_only); fi
"${python:-python3}" -m espnet_prune.bin.prepare_data librispeech "${librispeech_dir}" \
    --output data --sets "${names[@]}" "${options[@]}"
