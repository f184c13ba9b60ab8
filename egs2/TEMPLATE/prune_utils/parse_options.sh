# Sets shell variables from "--name value" options; to be sourced after the defaults are set.
# Only names that are set already are options; dashes in a name stand for underscores.
# shellcheck shell=bash

# The part of the calling script that sets its options.
option_lines() {
    local script=$0
    # It may have changed to its own folder.
    [ -f "${script}" ] || script=${0##*/}
    sed '/^help_message/Q' < "${script}"
}

# The options and their comments.
list_options() {
    option_lines | sed -En '/^(# General|[a-z0-9_]+=)/,$p' \
        | grep -E '^([a-z0-9_]+=|# [A-Z])' \
        | sed -E 's/^# (.*)/ \1/; s/^([a-z0-9_]+)=("[^"]*"|[^ ]*) *#? *(.*)/  --\1 (\2)  \3/; s/ +$//'
}

# option_value NAME VALUE: set an option that is of the type of its default.
option_value() {
    local name=$1 value=$2 whole='^(0|[1-9][0-9]{0,9})$' number='^-?([0-9]+\.?[0-9]*|\.[0-9]+)(e-?[0-9]+)?$'
    local expected=
    case "${name}" in
        stage | stop_stage | nj | *_nj | num_nodes)
            [[ "${value}" =~ ${whole} && "${value}" != 0 ]] || expected="a whole number from 1" ;;
        ngpu | seed | *_seed)
            [[ "${value}" =~ ${whole} ]] || expected="a whole number" ;;
        *)
            if [[ "${!name}" = true || "${!name}" = false ]]; then
                [[ "${value}" = true || "${value}" = false ]] || expected="true or false"
            elif [[ "${!name}" =~ ${number} ]]; then
                [[ "${value}" =~ ${number} ]] || expected="a number"
            elif [[ "${value}" = -* && "${name}" != *_args && "${name}" != *_opts && "${name}" != options ]]; then
                value=./${value} # a name of a file, which commands would take for an option
            fi ;;
    esac
    if [ -n "${expected}" ]; then
        echo "$0: --${name} expects ${expected}, found '${value}'" >&2
        exit 2
    fi
    printf -v "${name}" '%s' "${value}"
}

while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h)
            echo "${help_message}"
            echo
            echo "Options (default)"
            list_options
            exit 0 ;;
        --*=*)
            echo "$0: expected '--name value', found '$1'" >&2
            exit 2 ;;
        --*)
            name=${1#--}
            name=${name//-/_}
            if [[ ! "${name}" =~ ^[a-z0-9_]+$ ]] || ! option_lines | grep "^${name}=" > /dev/null; then
                echo "$0: there is no option $1; $0 --help lists them" >&2
                exit 2
            fi
            if [ $# -lt 2 ]; then
                echo "$0: $1 needs a value" >&2
                exit 2
            fi
            option_value "${name}" "$2"
            shift 2 ;;
        *)
            break ;;
    esac
done
