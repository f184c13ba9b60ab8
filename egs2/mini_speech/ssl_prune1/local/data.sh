#!/usr/bin/env bash
# Prepares the embedded speechocean762 and coffee orders in data/<corpus>/{train,dev,test}, for the
# probes, and the audio of both in data/{train,dev}.
set -euo pipefail

corpora=../../mini_corpus   # Holds speechocean762/ and picovoice_barista/.

help_message=$(cat << EOM
Usage: $0 [--name value ...]
EOM
)

. utils/parse_options.sh
. ./path.sh
. utils/folders.sh

[ $# -eq 0 ] || { echo "$0: unexpected argument '$1'; $0 --help lists the options" >&2; exit 2; }

# combine SET DIR: the audio of both corpora, whose names do not meet.
combine() {
    local table
    mkdir -- "$2"
    for table in wav.scp utt2spk spk2utt; do
        LC_ALL=C sort -- "data/speechocean762/$1/${table}" "data/picovoice_barista/$1/${table}" \
            > "$2/${table}"
    done
}

for corpus in speechocean762 picovoice_barista; do
    "${python:-python3}" -m espnet_prune.bin.prepare_data "${corpus}" "${corpora}/${corpus}" \
        --output "data/${corpus}" --allow_incomplete
done
for set in train dev; do replace "data/${set}" combine "${set}"; done
