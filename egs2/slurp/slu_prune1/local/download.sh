#!/usr/bin/env bash
# Downloads SLURP's texts (CC BY 4.0) and audio (CC BY-NC 4.0: no commercial use), and unpacks them;
# a repeated call goes on where the last one was stopped.
set -euo pipefail

repository=https://github.com/pswietojanski/slurp
version=8eb16545762be97ace75334109d73824217311f1
mirror=https://zenodo.org/record/4274930/files
archives="slurp_real slurp_synth"

help_message=$(cat << EOM
Usage: $0 [--name value ...] FOLDER

About 6 GB. Archives stay in FOLDER/audio beside what is unpacked; they may be deleted then.
The audio may not be used commercially (CC BY-NC 4.0).
EOM
)

. utils/parse_options.sh
. utils/download.sh

[ $# -eq 1 ] || { echo "${help_message}" >&2; exit 2; }
folder=$1

if [ ! -d "${folder}/dataset/slurp" ]; then
    clone "${repository}" "${version}" "${folder}.clone"
    mkdir -p "${folder}"
    mv "${folder}.clone/dataset" "${folder}/dataset"
    clear "${folder}.clone"
fi

for archive in ${archives}; do
    unpack "${mirror}/${archive}.tar.gz" "${folder}/audio"
done
