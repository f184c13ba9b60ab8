# Folders that scripts make and replace; to be sourced. A marker tells them from a stranger's.
# shellcheck shell=bash

marker=.made_by_recipe

# clear DIR: remove a folder of ours; the marker goes last, so that a killed removal goes on.
clear() {
    local dir=$1
    if [ ! -e "${dir}" ] && [ ! -L "${dir}" ]; then return; fi
    if [ -L "${dir}" ] || [ ! -f "${dir}/${marker}" ]; then
        if [ ! -L "${dir}" ] && rmdir -- "${dir}" 2> /dev/null; then return; fi
        echo "$0: expected ${dir} to be a folder that this recipe made, found no ${marker} in it;" \
            "move it away" >&2
        exit 2
    fi
    : > "${dir}/${marker}"
    find "${dir}" -mindepth 1 ! -path "${dir}/${marker}" -delete
    rm -f -- "${dir}/${marker}"
    rmdir -- "${dir}"
}

# fresh DIR [TEXT]: an empty folder of ours, with TEXT in its marker.
fresh() {
    local dir=$1 new
    clear "${dir}"
    mkdir -p -- "$(dirname -- "${dir}")"
    new=$(mktemp -d -- "$(dirname -- "${dir}")/.new.XXXXXXXX")
    chmod 755 -- "${new}"
    printf '%s\n' "${2:-}" > "${new}/${marker}"
    mv -T -- "${new}" "${dir}"
}

# replace DIR COMMAND...: what COMMAND makes when a folder of that name is its last argument, as DIR
# once it is whole.
replace() {
    local dir=$1 new
    shift
    clear "${dir}"
    new=$(dirname -- "${dir}")/.new
    fresh "${new}"
    new=${new}/$(basename -- "${dir}")
    "$@" "${new}"
    : > "${new}/${marker}"
    mv -T -- "${new}" "${dir}"
    clear "$(dirname -- "${new}")"
}

# publish SOURCE --output TARGET: copy a file; TARGET is the former one or the whole new one.
publish() {
    local new
    new=$(dirname -- "$3")/.$(basename -- "$3").new
    cp -- "$1" "${new}"
    mv -T -- "${new}" "$3"
}
