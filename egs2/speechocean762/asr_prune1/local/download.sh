#!/usr/bin/env bash
# Downloads speechocean762 (CC BY 4.0, 0.5 GB) and unpacks it; a repeated call goes on where the last
# one was stopped.
set -euo pipefail

mirror=https://www.openslr.org/resources/101

help_message=$(cat << EOM
Usage: $0 [--mirror ${mirror}] FOLDER

FOLDER is what the archive calls speechocean762. The archive stays in the folder above it; it may be
deleted then. OpenSLR's page https://www.openslr.org/101 names mirrors.
EOM
)

. utils/parse_options.sh
. utils/download.sh

[ $# -eq 1 ] || { echo "${help_message}" >&2; exit 2; }
if [ "$(basename "$1")" != speechocean762 ]; then
    echo "$0: expected a FOLDER named speechocean762, as in the archive, found '$1'" >&2
    exit 2
fi

unpack "${mirror}/speechocean762.tar.gz" "$(dirname "$1")"
