# How jobs are run: utils/run.pl on this machine, or Kaldi's queue.pl or slurm.pl with their options.
# shellcheck shell=bash
cuda_cmd="utils/run.pl"
