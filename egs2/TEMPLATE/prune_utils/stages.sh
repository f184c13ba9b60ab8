# Stages that remember: a finished stage is skipped until what it runs, or an earlier stage, changes;
# a killed training resumes. To be sourced when options are parsed. A recipe sets the array titles,
# and homes, the folders of those stages that write somewhere else than ${expdir}.
# shellcheck shell=bash

[ $# -eq 0 ] || { echo "$0: unexpected argument '$1'; $0 --help lists the options" >&2; exit 2; }
# Lists of words are split and nothing else: no word of an option is a pattern of file names.
set -f
. utils/folders.sh

export python
signing=false     # True while a stage only says what it would run.
signature=
made=("${expdir}" "${dumpdir:-}") # What the stages themselves make, which the signature of the stage before covers.
homes=()
child=

log() {
    if "${signing}"; then return; fi
    echo "$(date '+%Y-%m-%dT%H:%M:%S') (${0##*/}) $*"
}

# end_children GROUP: end a process group, by force if need be.
end_children() {
    local tries
    kill -TERM -- "-$1" 2> /dev/null || return 0
    for ((tries = 0; tries < 50; tries++)); do
        kill -0 -- "-$1" 2> /dev/null || return 0
        sleep 0.1
    done
    kill -KILL -- "-$1" 2> /dev/null || true
}

# stopped STATUS: the end of a script that got a signal.
stopped() {
    trap '' INT TERM HUP
    if [ -n "${child}" ]; then end_children "${child}"; fi
    exit "$1"
}

# guard: from here on commands end with this shell, even if it is killed with -9: a process that
# reads their groups from a pipe sees its end.
guard() {
    trap 'stopped 130' INT
    trap 'stopped 143' TERM
    trap 'stopped 129' HUP
    set -m
    # shellcheck disable=SC2030
    coproc watch {
        trap '' INT TERM HUP
        exec {lock}>&-
        local group last=
        while read -r group; do last=${group}; done
        if [ -n "${last}" ]; then end_children "${last}"; fi
    } > /dev/null 2>&1
    set +m
    watcher=${watch[1]}
}

# hold FOLDER: lock a folder for this script and all that it starts, or say who has it.
hold() {
    local folder=$1/.stages held
    mkdir -p -- "${folder}"
    exec {held}<> "${folder}/lock"
    # What a killed run started takes a moment to end.
    if ! flock -n "${held}"; then
        local pid host rest
        read -r pid host rest < "${folder}/holder" || true
        if [ "${host:-}" != "${HOSTNAME}" ] || kill -0 "${pid}" 2> /dev/null \
            || ! flock -w 10 "${held}"; then
            echo "$0: $1 is in use by process ${pid:-?} on ${host:-?} ${rest:-};" \
                "wait for its end or choose another folder" >&2
            exit 2
        fi
    fi
    echo "$$ ${HOSTNAME} since $(date '+%Y-%m-%dT%H:%M:%S'): $0, stages ${stage} to ${stop_stage}" \
        > "${folder}/holder"
    lock=${held}
}

# run COMMAND...: a command of a stage. While signing, its words are written down instead.
run() {
    local status=0
    if "${signing}"; then
        printf '%s\0' "$@" '' >&"${words}"
        return
    fi
    # A process group of its own, to end it as a whole. Programs close what they inherit but for the
    # standard streams: the lock is the (empty) standard input, so that orphans hold it.
    set -m
    (exec {watcher}>&-; "$@") <&"${lock}" &
    set +m
    child=$!
    echo "${child}" >&"${watcher}"
    wait "${child}" || status=$?
    if [ "${status}" -ne 0 ]; then end_children "${child}"; fi
    child=
    echo >&"${watcher}"
    return "${status}"
}

# verb NAME arguments...: one of the project's commands.
verb() {
    local name=$1
    shift
    run "${python}" -m "espnet_prune.bin.${name}" "$@"
}

# capture FILE COMMAND...: what COMMAND prints, as FILE once it is whole; it calls run itself.
capture() {
    local file=$1 new
    shift
    if "${signing}"; then "$@"; return; fi
    new=$(dirname -- "${file}")/.$(basename -- "${file}").new
    "$@" > "${new}"
    mv -T -- "${new}" "${file}"
}

# renew DIR COMMAND...: replace DIR by what COMMAND makes; COMMAND calls run itself.
renew() {
    local dir=$1
    shift
    if "${signing}"; then "$@" "${dir}"; else replace "${dir}" "$@"; fi
}

# training_folder DIR: that of a killed training with the same inputs, else an empty one.
training_folder() {
    local begun=$1/${marker}
    if "${signing}"; then return; fi
    if [ -f "${begun}" ] && [ "${redo}" = false ] && [ "$(< "${begun}")" = "${signature}" ]; then
        log "resumes in $1"
        return
    fi
    if [ -e "$1" ]; then log "starts afresh in $1: other inputs than those it was begun with"; fi
    fresh "$1" "${signature}"
}

# marker_of STAGE: its record: "done SIGNATURE ID" or, of one that was begun, "begun - ID".
marker_of() {
    echo "${homes[$1]:-${expdir}}/.stages/$1.done"
}

# sign STAGE: the checksum of what it runs. Options that say how and not what do not count.
sign() {
    local number=$1 stage earlier before=
    for ((stage = 1; stage < number; stage++)); do
        earlier=$(marker_of "${stage}")
        if [ -f "${earlier}" ]; then before+="${stage} $(< "${earlier}") "; fi
    done
    # shellcheck disable=SC2030,SC2031
    (
        signing=true
        python=python3 nj=1 inference_nj=1 ngpu=0 num_nodes=1 gpu_inference=false cuda_cmd=run.pl
        exec {words}>&1 > /dev/null
        "stage_${number}"
    ) | "${python}" utils/sign.py "${expdir}/.stages/checksums.json" "${before}" "${made[@]}"
}

# run_stage STAGE TITLE: call stage_STAGE unless it is finished.
run_stage() {
    local number=$1 title=$2 record state=none former=none id=
    record=$(marker_of "${number}")
    signature=$(sign "${number}")
    if [ -f "${record}" ]; then read -r state former id < "${record}" || true; fi
    if [ "${redo}" = false ] && [ "${state}" = "done" ] && [ "${former}" = "${signature}" ]; then
        log "Stage ${number}: ${title} (finished already; --redo true repeats it)"
        return
    fi
    log "Stage ${number}: ${title}"
    case "${state}" in
        none | begun | "done") ;;
        *) log "an earlier version of the recipe has finished it; what it made is kept" ; id= ;;
    esac
    # What depends on this stage is stale unless it is data made again from the same inputs.
    if [ -z "${homes[number]:-}" ] || [ "${redo}" = true ]; then
        if [ "${state}" != begun ] || [ "${redo}" = true ]; then id=$(date +%s%N); fi
    fi
    write_record "${record}" "begun - ${id}"
    "stage_${number}"
    write_record "${record}" "done ${signature} ${id}"
}

write_record() { # FILE TEXT
    mkdir -p -- "$(dirname -- "$1")"
    echo "$2" > "$1.new"
    mv -T -- "$1.new" "$1"
}

# run_stages: from ${stage} to ${stop_stage}, as the list titles says.
run_stages() {
    local number last=$((${#titles[@]} - 1)) name folder
    for name in stage stop_stage; do
        if ((${!name} > last)); then
            echo "$0: --${name} expects 1 to ${last}, found '${!name}'" >&2
            exit 2
        fi
    done
    if ((stage > stop_stage)); then
        echo "$0: expected --stage up to --stop_stage (${stop_stage}), found ${stage}" >&2
        exit 2
    fi
    for ((number = stage; number <= stop_stage; number++)); do
        folder=${homes[number]:-}
        if [ -n "${folder}" ] && [ "${folder}" != "${homes[number - 1]:-}" ]; then hold "${folder}"; fi
    done
    hold "${expdir}"
    guard
    for ((number = stage; number <= stop_stage; number++)); do
        if [ -n "${dense_expdir:-}" ] && ((number >= 3 && number <= 5)); then
            log "Stage ${number}: ${titles[number]} (done in ${dense_expdir})"
            continue
        fi
        run_stage "${number}" "${titles[number]}"
    done
}
