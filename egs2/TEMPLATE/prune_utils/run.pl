#!/usr/bin/env bash
# Runs a command on this machine with its output in a log, as Kaldi's run.pl does (which may stand
# in its place): run.pl [--gpu N] [--mem M] [--num-threads N] [JOB=1:N] LOG command...
set -euo pipefail

usage() {
    echo "usage: run.pl [options] [JOB=1:N] LOG command..." >&2
    exit 2
}

jobs=""
while [ $# -gt 0 ]; do
    case "$1" in
        --*) [ $# -ge 2 ] || usage; shift 2 ;;
        *) [[ "$1" =~ ^[A-Za-z_][A-Za-z0-9_]*=[0-9]+:[0-9]+$ ]] || break; jobs=$1; shift ;;
    esac
done
[ $# -ge 2 ] || usage

# The jobs end with this script, and their commands with them.
pids=()
# shellcheck disable=SC2329
stop() {
    trap '' INT TERM
    if [ ${#pids[@]} -gt 0 ]; then kill -TERM "${pids[@]}" 2> /dev/null || true; fi
    wait
    exit 143
}

run_one() { # log command...
    local log=$1 status=0
    shift
    pids=()
    trap stop INT TERM
    mkdir -p -- "$(dirname -- "${log}")"
    if ! { printf '# %s\n# Started at %s\n' "$*" "$(date)" > "${log}"; } 2> /dev/null; then
        echo "run.pl: ${log}: cannot be written; is the disk full?" >&2
        return 1
    fi
    # Standard input stays what it is: the commands of recipes hold their lock by it.
    "$@" <&0 >> "${log}" 2>&1 &
    pids=($!)
    wait "${pids[0]}" || status=$?
    if ! { echo "# Ended (code ${status}) at $(date)" >> "${log}"; } 2> /dev/null; then
        echo "run.pl: ${log}: cannot be written; is the disk full?" >&2
        return 1
    fi
    if [ "${status}" -ne 0 ]; then
        echo "run.pl: job failed with status ${status}, log is in ${log}; it ends with" >&2
        grep -v '^#' -- "${log}" | tail -n 5 >&2 || true
    fi
    return "${status}"
}

if [ -z "${jobs}" ]; then
    run_one "$@"
    exit
fi
name=${jobs%%=*}
range=${jobs#*=}
all=()
trap stop INT TERM
for n in $(seq "${range%%:*}" "${range##*:}"); do
    run_one "${@//${name}/${n}}" <&0 &
    all+=($!)
    pids=("${all[@]}")
done
status=0
for pid in "${all[@]}"; do
    wait "${pid}" || status=1
done
exit "${status}"
