#!/usr/bin/env bash
# Prepares data/{train,dev,test}; the options are those of the script that it calls (see --help).
set -euo pipefail

exec ../../ami_aishell4_alimeeting/diar_prune1/local/data.sh --corpora alimeeting "$@"
