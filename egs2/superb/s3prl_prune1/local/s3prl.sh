#!/usr/bin/env bash
# Gets the sources of s3prl 0.4.18, which hold what its packages lack: the configurations, word
# lists and corpora of the tasks. Usage: local/s3prl.sh FOLDER
set -euo pipefail

folder=${1:?usage: $0 FOLDER}
commit=ec8064b5889f81ca460fbe2c094ce576a6f120b7 # version 0.4.18
if [ -d "${folder}" ]; then
    found=$(cat "${folder}/s3prl/version.txt" 2> /dev/null || true)
    [ "${found}" = 0.4.18 ] && exit 0
    echo "$0: expected s3prl 0.4.18 in ${folder}, found '${found}'; move that away" >&2
    exit 2
fi
. utils/download.sh
clone https://github.com/s3prl/s3prl "${commit}" "${folder}"
