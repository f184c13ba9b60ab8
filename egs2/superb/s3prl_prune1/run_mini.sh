#!/usr/bin/env bash
# Two tasks of SUPERB on small corpora with a dense and a pruned encoder, in minutes on two CPU
# cores: intents (one label per utterance) and diarization (one per frame).
set -euo pipefail
cd -- "$(dirname -- "$0")"

# General
dense=whisper_tiny_en                               # The dense encoder.
pruned=../../mini_speech/ssl_prune1/exp/pruned_encoder       # The pruned one; its recipe runs if it is absent.
tasks="ic sd"                                       # What to run.
orders=../../mini_speech/slu_prune1                          # Recipe of the spoken orders of ic.
fluent=data/mini/fluent                             # Orders in Fluent Speech Commands' layout.
pairs=data/mini/pairs                               # Conversations in the layout of s3prl's sd.
pairs_opts="--num_train 240 --num_dev 24 --num_test 48 --duration 10"  # Options of mini_meeting/diar_prune1/local/data.sh.
options=""                                          # Further options of run.sh, see its --help.
python=python3                                      # Python to use.

help_message=$(cat << EOM
Usage: $0 [--name value ...]
EOM
)

. utils/parse_options.sh
. ./path.sh

[ $# -eq 0 ] || { echo "$0: unexpected argument '$1'; $0 --help lists the options" >&2; exit 2; }

if [[ " ${tasks} " = *" sd "* ]]; then
    # shellcheck disable=SC2086
    python=${python} ../../mini_meeting/diar_prune1/local/data.sh --num_speakers 2 --data_dir "${PWD}/${pairs}" ${pairs_opts}
fi
if [[ " ${tasks} " = *" ic "* ]]; then
    if [ ! -f "${orders}/data/test/wav.scp" ]; then
        (cd "${orders}" && python=${python} local/data.sh)
    fi
    ${python} local/mini/fluent_commands.py "${orders}/data" "${fluent}"
fi
if [ ! -e "${pruned}" ] && [ "${pruned}" = ../../mini_speech/ssl_prune1/exp/pruned_encoder ]; then
    (cd ../../mini_speech/ssl_prune1 && ./run.sh --stop_stage 6 --python "${python}")
fi

compare=
for tag in dense pruned; do
    # shellcheck disable=SC2086
    ./run.sh --upstream_ckpt "${!tag}" --tag "${tag}" --tasks "${tasks}" --expdir exp_mini \
        --tasks_config conf/mini.yaml --published none --compare "${compare}" --device cpu \
        --s3prl_dir installed --fluent "${fluent}" --libri2mix "${pairs}" --python "${python}" \
        ${options}
    compare=exp_mini/${tag}
done
