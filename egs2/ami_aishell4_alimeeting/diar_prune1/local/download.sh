#!/usr/bin/env bash
# Downloads a corpus and unpacks it; a repeated call goes on where the last one was stopped.
set -euo pipefail

corpus=
ami_mirror=https://groups.inf.ed.ac.uk/ami/AMICorpusMirror/amicorpus
ami_setup=https://github.com/BUTSpeechFIT/AMI-diarization-setup
ami_setup_version=2509d8933721023fab4def2618aabd5c28eb82e9
aishell4_mirror=https://www.openslr.org/resources/111
alimeeting_mirror=https://speech-lab-share-data.oss-cn-shanghai.aliyuncs.com/AliMeeting/openlr

help_message=$(cat << EOM
Usage: $0 --corpus NAME [--name value ...] FOLDER

  ami         Array1-01 of 168 meetings, about 11 GB, and their references   (CC BY 4.0)
  aishell4    four archives, about 55 GB                                     (CC BY-SA 4.0)
  alimeeting  three archives, about 92 GB                                    (CC BY-SA 4.0)

Archives stay in FOLDER beside what is unpacked, about as much again; they may be deleted then.
EOM
)

. utils/parse_options.sh
. utils/download.sh

[ $# -eq 1 ] || { echo "${help_message}" >&2; exit 2; }
folder=$1

ami() {
    local setup=${folder}/AMI-diarization-setup meeting name
    clone "${ami_setup}" "${ami_setup_version}" "${setup}"
    # The array recordings of these two were lost.
    cat "${setup}"/lists/{train,dev,test}.meetings.txt | grep -vx -e IS1003b -e IS1007d \
        | while read -r meeting; do
            name=${meeting}/audio/${meeting}.Array1-01.wav
            download "${ami_mirror}/${name}" "${folder}/amicorpus/${name}"
        done
}

aishell4() {
    local part
    for part in train_L train_M train_S test; do
        unpack "${aishell4_mirror}/${part}.tar.gz" "${folder}"
    done
}

alimeeting() {
    unpack "${alimeeting_mirror}/Train_Ali_far.tar.gz" "${folder}" 78639309701
    unpack "${alimeeting_mirror}/Eval_Ali.tar.gz" "${folder}"
    unpack "${alimeeting_mirror}/Test_Ali.tar.gz" "${folder}"
}

mkdir -p "${folder}"
case "${corpus}" in
    ami | aishell4 | alimeeting) "${corpus}" ;;
    *) echo "$0: expected --corpus ami, aishell4 or alimeeting, found '${corpus}'" >&2; exit 2 ;;
esac
