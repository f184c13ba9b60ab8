# Downloads that resume; to be sourced.
# shellcheck shell=bash

. utils/folders.sh

# clone REPOSITORY VERSION FOLDER: FOLDER is there only when it is whole.
clone() {
    local part=$3.part
    if [ -d "$3" ]; then return; fi
    fresh "${part}"
    git -C "${part}" init --quiet
    git -C "${part}" fetch --quiet --depth 1 "$1" "$2"
    git -C "${part}" -c advice.detachedHead=false checkout --quiet FETCH_HEAD
    mv -T -- "${part}" "$3"
}

# download URL FILE [BYTES]: FILE is there only when it is whole.
download() {
    local url=$1 file=$2 expected=${3:-} found
    if [ -f "${file}" ]; then return; fi
    mkdir -p "$(dirname "${file}")"
    if ! wget --continue --quiet --show-progress --output-document "${file}.part" "${url}"; then
        echo "$0: expected to download ${url}, found no way to all of it; call again with a network," \
            "or name the folder that has what is in it" >&2
        exit 2
    fi
    found=$(wc -c < "${file}.part")
    if [ -n "${expected}" ] && [ "${found}" -ne "${expected}" ]; then
        echo "$0: expected ${expected} bytes from ${url}, found ${found} in ${file}.part;" \
            "delete that file and call again" >&2
        exit 2
    fi
    mv "${file}.part" "${file}"
}

# unpack URL FOLDER [BYTES]: download an archive and unpack it; gzip's checksums tell if it is damaged.
unpack() {
    local url=$1 folder=$2
    local archive=${folder}/${url##*/}
    local marker=${folder}/.${url##*/}.unpacked
    if [ -f "${marker}" ]; then return; fi
    download "${url}" "${archive}" "${3:-}"
    echo "unpack ${archive}"
    if ! tar --force-local -xzf "${archive}" -C "${folder}"; then
        echo "$0: expected a whole archive, found a damaged one in ${archive};" \
            "delete that file and call again" >&2
        exit 2
    fi
    touch "${marker}"
}
