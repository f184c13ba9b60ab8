#!/usr/bin/env bash
# Runs a command on this machine with its output in a log, as Kaldi's run.pl does (which may stand
# in its place): run.pl [--gpu N] [--mem M] [--num-threads N] [JOB=1:N] LOG command...
set -euo pipefail

jobs=""
while [ $# -gt 0 ]; do
    case "$1" in
        --*) shift 2 ;;
        *=*:*) jobs=$1; shift ;;
        *) break ;;
    esac
done
[ $# -ge 2 ] || { echo "usage: run.pl [options] [JOB=1:N] LOG command..." >&2; exit 2; }

run_one() { # log command...
    local log=$1 status=0
    shift
    mkdir -p "$(dirname "${log}")"
    {
        echo "# $*"
        echo "# Started at $(date)"
    } > "${log}"
    "$@" >> "${log}" 2>&1 || status=$?
    echo "# Ended (code ${status}) at $(date)" >> "${log}"
    if [ "${status}" -ne 0 ]; then
        echo "run.pl: job failed with status ${status}, log is in ${log}; it ends with" >&2
        grep -v '^#' "${log}" | tail -n 5 >&2 || true
    fi
    return "${status}"
}

if [ -z "${jobs}" ]; then
    run_one "$@"
    exit
fi
name=${jobs%%=*}
range=${jobs#*=}
pids=()
for n in $(seq "${range%%:*}" "${range##*:}"); do
    run_one "${@//${name}/${n}}" &
    pids+=($!)
done
status=0
for pid in "${pids[@]}"; do
    wait "${pid}" || status=1
done
exit "${status}"
