# Where trainings and decoding run: on this machine, or where Kaldi's slurm.pl, queue.pl, pbs.pl or
# ssh.pl sends them. What these ask for stands in conf/slurm.conf, conf/queue.conf, conf/pbs.conf.
# shellcheck shell=bash
cmd_backend=${cmd_backend:-local}
case "${cmd_backend}" in
    local) cuda_cmd="utils/run.pl" ;;
    slurm) cuda_cmd="slurm.pl" ;;
    sge) cuda_cmd="queue.pl" ;;
    pbs) cuda_cmd="pbs.pl" ;;
    ssh) cuda_cmd="ssh.pl" ;;
    *)
        echo "$0: expected cmd_backend local, slurm, sge, pbs or ssh, found '${cmd_backend}'" >&2
        exit 2 ;;
esac
