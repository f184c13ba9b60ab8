#!/usr/bin/env bash
# Usage: local/download.sh FOLDER; the options are those of the script that it calls (see --help).
set -euo pipefail

exec ../../ami_aishell4_alimeeting/diar_prune1/local/download.sh --corpus ami "$@"
