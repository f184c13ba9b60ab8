# Stages that remember: a finished stage is skipped until its inputs or an earlier stage change,
# a killed training stage resumes. To be sourced when options are parsed; needs ${expdir}, ${redo}.
# shellcheck shell=bash

[ $# -eq 0 ] || { echo "$0: unexpected argument '$1'; $0 --help lists the options" >&2; exit 2; }

log() {
    echo "$(date '+%Y-%m-%dT%H:%M:%S') (${0##*/}) $*"
}

# content FILE: and of the configuration that it names as its base.
content() {
    local base
    cat "$1"
    base=$(sed -n 's/^base: *//p' "$1")
    if [ -n "${base}" ]; then content "$(dirname "$1")/${base}"; fi
}

# The inputs of a stage as one word: options as they are, files by their content.
signature() {
    local word
    for word in "$@"; do
        if [ -f "${word}" ]; then content "${word}"; else echo "${word}"; fi
    done | sha1sum | cut -d' ' -f1
}

# finished STAGE SIGNATURE: done with these inputs, and no earlier stage done since.
finished() {
    local marker=${expdir}/.stages/$1.done earlier
    [ -f "${marker}" ] && [ "$(cat "${marker}")" = "$2" ] || return 1
    for ((earlier = 1; earlier < $1; earlier++)); do
        if [ "${expdir}/.stages/${earlier}.done" -nt "${marker}" ]; then return 1; fi
    done
}

# begin STAGE SIGNATURE DIR...: keep the DIRs of a killed run with the same inputs, else clear them.
begin() {
    local number=$1 inputs=$2 begun=${expdir}/.stages/$1.begun earlier fresh=true
    shift 2
    if [ -f "${begun}" ] && [ "$(cat "${begun}")" = "${inputs}" ]; then fresh=false; fi
    for ((earlier = 1; earlier < number; earlier++)); do
        if [ "${expdir}/.stages/${earlier}.done" -nt "${begun}" ]; then fresh=true; fi
    done
    if "${fresh}"; then
        rm -rf "$@"
        mkdir -p "${expdir}/.stages"
        echo "${inputs}" > "${begun}"
    fi
}

# run_stage STAGE TITLE "INPUTS" "DIRS": call stage_STAGE unless it is finished.
run_stage() {
    local number=$1 title=$2 inputs
    # shellcheck disable=SC2086
    inputs=$(signature $3)
    if [ "${redo}" = false ] && finished "${number}" "${inputs}"; then
        log "Stage ${number}: ${title} (finished already; --redo true repeats it)"
        return
    fi
    log "Stage ${number}: ${title}"
    if [ "${redo}" = true ]; then rm -f "${expdir}/.stages/${number}.begun"; fi
    # shellcheck disable=SC2086
    begin "${number}" "${inputs}" $4
    "stage_${number}"
    echo "${inputs}" > "${expdir}/.stages/${number}.done"
    rm -f "${expdir}/.stages/${number}.begun"
}

# run_stages: from ${stage} to ${stop_stage}, as the lists titles, inputs and outputs say.
run_stages() {
    local number
    for ((number = stage; number <= stop_stage; number++)); do
        run_stage "${number}" "${titles[number]}" "${inputs[number]}" "${outputs[number]}"
    done
}
