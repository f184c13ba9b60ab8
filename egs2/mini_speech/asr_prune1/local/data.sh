#!/usr/bin/env bash
# Prepares data/{train,dev,test} of the embedded part of speechocean762.
# The options are those of the script that it calls (see --help).
set -euo pipefail

exec ../../speechocean762/asr_prune1/local/data.sh \
    --speechocean762 ../../mini_corpus/speechocean762 --allow_incomplete true "$@"
