# Sets shell variables from "--name value" options; to be sourced after the defaults are set.
# Only names that are set already are options; dashes in a name stand for underscores.
# shellcheck shell=bash

# The calling script's options, between its first one and its help_message, with their comments.
list_options() {
    local script=$0
    # It may have changed to its own folder.
    [ -f "${script}" ] || script=${0##*/}
    sed '/^help_message/Q' "${script}" | sed -En '/^(# General|[a-z0-9_]+=)/,$p' \
        | grep -E '^([a-z0-9_]+=|# [A-Z])' \
        | sed -E 's/^# (.*)/ \1/; s/^([a-z0-9_]+)=("[^"]*"|[^ ]*) *#? *(.*)/  --\1 (\2)  \3/; s/ +$//'
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
            if [ -z "${!name+set}" ]; then
                echo "$0: there is no option $1; $0 --help lists them" >&2
                exit 2
            fi
            if [ $# -lt 2 ]; then
                echo "$0: $1 needs a value" >&2
                exit 2
            fi
            case "${!name}" in
                true | false)
                    if [ "$2" != true ] && [ "$2" != false ]; then
                        echo "$0: $1 expects true or false, found '$2'" >&2
                        exit 2
                    fi ;;
            esac
            printf -v "${name}" '%s' "$2"
            shift 2 ;;
        *)
            break ;;
    esac
done
