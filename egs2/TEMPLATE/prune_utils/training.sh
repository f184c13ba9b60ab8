# Trainings by ESPnet; to be sourced; needs ${python}, ${cmd_backend}, ${cuda_cmd}, ${ngpu}, ${num_nodes}, ${seed}.
# shellcheck shell=bash

# What starts a training, and on how many nodes, shows before anything has run.
if ! command -v -- "${cuda_cmd%% *}" > /dev/null; then
    echo "$0: cmd_backend=${cmd_backend} needs ${cuda_cmd%% *}, found none on the PATH: call the recipe in" \
        "an ESPnet checkout that has tools/kaldi, or put Kaldi's egs/wsj/s5/utils on the PATH" >&2
    exit 2
fi
if [ "${num_nodes}" -gt 1 ] && [[ "${cmd_backend}" = local || "${cmd_backend}" = ssh ]]; then
    echo "$0: --num_nodes ${num_nodes} needs cmd_backend=slurm, sge or pbs, found ${cmd_backend};" \
        "set it in cmd.sh or in the environment" >&2
    exit 2
fi

# Progress bars reach the terminal although standard error goes to a log.
exec 9>&2
export PROGRESS_FILE=/proc/$$/fd/9

# as_yaml PATH: what ESPnet takes for that text, which it reads as YAML.
as_yaml() {
    local text=${1//\\/\\\\}
    case "$1" in
        *[!A-Za-z0-9._/@-]* | [!A-Za-z./]*) echo "\"${text//\"/\\\"}\"" ;;
        *) echo "$1" ;;
    esac
}

# launch DIR VERB CONFIG options...: one training into DIR; a killed one resumes. Of one that fails
# run.pl shows the end of the log; that ESPnet shows a thousand lines and a traceback is left out.
launch() {
    local dir=$1 verb=$2 config=$3
    shift 3
    training_folder "${dir}"
    log "training log: ${dir}/train.log"
    run "${python}" -m espnet2.bin.launch --cmd "${cuda_cmd}" --log "${dir}/train.log" --ngpu "${ngpu}" \
        --num_nodes "${num_nodes}" --init_file_prefix "${dir}/.dist_init_" \
        --multiprocessing_distributed true -- \
        "${python}" -m "espnet_prune.bin.${verb}" --config "${config}" --output_dir "${dir}" \
        --seed "${seed}" --resume true "$@" 2> >(sed -u '/returned non-zero exit status/,$d' >&2)
}
