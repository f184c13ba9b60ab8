# Sets shell variables from "--name value" options; to be sourced after the defaults are set.
# Only names that are set already are options; dashes in a name stand for underscores.
# shellcheck shell=bash

while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h)
            echo "${help_message:-no help}"
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
