#!/usr/bin/env bash
# Makes wavlm_mini, the small encoder that the demo starts from. The result is in the repository, so
# that this runs only when somebody wants to make it anew.
set -euo pipefail
cd -- "$(dirname -- "$0")"

# General
stage=1               # First stage to run.
stop_stage=5          # Last stage to run.
redo=false            # Repeat stages that are finished.
ngpu=0                # GPUs per node; 0 trains on the CPU.
num_nodes=1           # Nodes for distributed training.
nj=2                  # Parallel jobs of data generation.
python=python3        # Python to use.
expdir=exp            # Where models are trained.
seed=0                # Seed of data and training.
voice_config=conf/train_voices.yaml     # Telling voices apart.
meeting_config=conf/train_meetings.yaml # Diarizing windows of meetings.
meeting_opts="--num_train 96 --num_test 1" # Options of local/generate_meetings.py.
output=wavlm_mini     # Folder of the encoder.

help_message=$(cat << EOM
Usage: $0 [--stage N] [--stop_stage N] [--name value ...]

Stages
   1  generate voices, cut windows            4  train on the meetings of many voices
   2  train the encoder to tell them apart    5  export the encoder to --output
   3  generate meetings, cut windows
EOM
)

. utils/parse_options.sh
. ./path.sh
. ./cmd.sh
. utils/stages.sh
. utils/training.sh

stage_1() {
    run "${python}" local/generate_voices.py --seed "${seed}" --nj "${nj}"
    for set in train dev; do
        run "${python}" local/make_voice_windows.py "data/${set}"
    done
}

stage_2() {
    launch "${expdir}/voices" voice_train "${voice_config}" \
        --train_data_path_and_name_and_type data/train/windows,speech,window_sound \
        --train_data_path_and_name_and_type data/train/window2voice,voice,text_int \
        --train_shape_file data/train/windows \
        --valid_data_path_and_name_and_type data/dev/windows,speech,window_sound \
        --valid_data_path_and_name_and_type data/dev/window2voice,voice,text_int \
        --valid_shape_file data/dev/windows
    verb export_encoder "${expdir}/voices/latest.pth" \
        --output "${expdir}/voice_encoder"
}

stage_3() {
    # Another seed than the demo's, so that its meetings are not seen here; the same voices.
    # shellcheck disable=SC2086
    run "${python}" local/generate_meetings.py --seed "$((seed + 1000))" --nj "${nj}" ${meeting_opts} \
        --data_dir data/meetings
    for set in train dev; do
        verb make_windows "data/meetings/${set}"
    done
}

stage_4() {
    launch "${expdir}/meetings" powerset_train "${meeting_config}" \
        --frontend_conf "model=${expdir}/voice_encoder" \
        --train_data_path_and_name_and_type data/meetings/train/windows,speech,window_sound \
        --train_data_path_and_name_and_type data/meetings/train/windows,spk_labels,window_labels_4 \
        --train_shape_file data/meetings/train/windows \
        --valid_data_path_and_name_and_type data/meetings/dev/windows,speech,window_sound \
        --valid_data_path_and_name_and_type data/meetings/dev/windows,spk_labels,window_labels_4 \
        --valid_shape_file data/meetings/dev/windows
}

stage_5() {
    verb export_diarizer "${expdir}/meetings/latest.pth" \
        --output "${expdir}/meeting_model"
    renew "${expdir}/encoder" verb convert "${expdir}/meeting_model/encoder"
    run publish "${expdir}/encoder/config.json" --output "${output}/config.json"
    run publish "${expdir}/encoder/model.safetensors" --output "${output}/model.safetensors"
}

titles=("" "generate voices" "train on voices" "generate meetings" "train on meetings" "export")
homes=([1]=data [3]=data)
made+=(data)
run_stages
