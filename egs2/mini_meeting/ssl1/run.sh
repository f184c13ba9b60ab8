#!/usr/bin/env bash
# Makes wavlm_mini, the small encoder that the demo starts from; its result is in the repository,
# so that this runs only when somebody wants to make it anew.
set -euo pipefail
cd "$(dirname "$0")"

stage=1               # First stage to run.
stop_stage=4          # Last stage to run.
redo=false            # Repeat stages that are finished.
ngpu=0                # GPUs; 0 trains on the CPU.
nj=2                  # Parallel jobs of data generation.
python=python3        # Python to use.
expdir=exp            # Where the model is trained.
seed=0                # Seed of data and training.
train_config=conf/train.yaml
output=wavlm_mini     # Folder of the encoder.

help_message="Usage: $0 [--stage N] [--stop_stage N] [--name value ...]
Stages: 1 generate voices, 2 cut windows, 3 train, 4 export to --output
Options: stage stop_stage redo ngpu nj python expdir seed train_config output"

. utils/parse_options.sh
. ./path.sh
. ./cmd.sh
. utils/stages.sh

exec 9>&2
export PROGRESS_FILE=/proc/$$/fd/9

stage_1() {
    python=${python} local/data.sh --seed "${seed}" --nj "${nj}"
}

stage_2() {
    for set in train dev; do
        ${python} local/make_voice_windows.py "data/${set}"
    done
}

stage_3() {
    log "training log: ${expdir}/train/train.log"
    ${python} -m espnet2.bin.launch --cmd "${cuda_cmd}" --log "${expdir}/train/train.log" \
        --ngpu "${ngpu}" --multiprocessing_distributed true -- \
        ${python} -m espnet_prune.bin.voice_train --config "${train_config}" \
        --output_dir "${expdir}/train" --seed "${seed}" --resume true \
        --train_data_path_and_name_and_type data/train/windows,speech,window_sound \
        --train_data_path_and_name_and_type data/train/window2voice,voice,text_int \
        --train_shape_file data/train/windows \
        --valid_data_path_and_name_and_type data/dev/windows,speech,window_sound \
        --valid_data_path_and_name_and_type data/dev/window2voice,voice,text_int \
        --valid_shape_file data/dev/windows
}

stage_4() {
    ${python} -m espnet_prune.bin.export_encoder "${expdir}/train/latest.pth" --output "${output}"
}

titles=("" "generate voices" "cut windows" "train" "export")
inputs=("" "${seed}" "windows" "${train_config} ${seed}" "${output}")
outputs=("" "" "" "${expdir}/train" "")
for ((n = stage; n <= stop_stage; n++)); do
    run_stage "${n}" "${titles[n]}" "${inputs[n]}" "${outputs[n]}"
done
