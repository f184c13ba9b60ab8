#!/usr/bin/env bash
# Downloads parts of LibriSpeech (CC BY 4.0) and unpacks them; a repeated call goes on where the
# last one was stopped.
set -euo pipefail

mirror=https://www.openslr.org/resources/12

help_message=$(cat << EOM
Usage: $0 [--mirror ${mirror}] FOLDER PART...

  train-clean-100                               6.3 GB
  train-clean-360, train-other-500              23 GB, 30 GB
  dev-clean, dev-other, test-clean, test-other  0.3 GB each

FOLDER is what the archives call LibriSpeech. They stay in the folder above it, about as much
again as what is unpacked; they may be deleted then.
EOM
)

. utils/parse_options.sh
. utils/download.sh

[ $# -ge 2 ] || { echo "${help_message}" >&2; exit 2; }
folder=$1
shift
if [ "$(basename "${folder}")" != LibriSpeech ]; then
    echo "$0: expected a FOLDER named LibriSpeech, as in the archives, found '${folder}'" >&2
    exit 2
fi

for part in "$@"; do
    unpack "${mirror}/${part}.tar.gz" "$(dirname "${folder}")"
done
