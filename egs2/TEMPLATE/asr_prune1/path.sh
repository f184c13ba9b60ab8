# Which Python and which programs: those of the ESPnet checkout that the recipes lie in, or those of
# this project's own .venv, or what is there.
# shellcheck shell=bash
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../.." && pwd)
if [ -x "${root}/.venv/bin/python3" ]; then
    export PATH="${root}/.venv/bin:${PATH}"
fi
for tool in "${root}/tools/activate_python.sh" "${root}/tools/extra_path.sh"; do
    # shellcheck disable=SC1090
    if [ -f "${tool}" ]; then . "${tool}"; fi
done
# Of Kaldi's utils the programs that submit jobs are called, and nothing that a utils of ours has.
for tool in "${root}/tools/kaldi/egs/wsj/s5/utils" "${root}/utils"; do
    if [ -d "${tool}" ]; then export PATH="${PATH}:${tool}"; fi
done
export PYTHONPATH="${root}${PYTHONPATH:+:${PYTHONPATH}}"
export PYTHONUNBUFFERED=1
export PYTHONIOENCODING=UTF-8
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$(nproc)}"
# As in ESPnet: interfaces that never lead to another node.
export NCCL_SOCKET_IFNAME="${NCCL_SOCKET_IFNAME:-^lo,docker,virbr,vmnet,vboxnet}"
# What a job of several nodes may use on each: srun does not take it over from sbatch by itself.
if [ -n "${SLURM_CPUS_PER_TASK:-}" ]; then export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK}"; fi
# glibc: keep freed pages. Training on the CPU frees and allocates large tensors at every step and
# would otherwise spend a good part of its time on page faults.
export MALLOC_MMAP_THRESHOLD_=1073741824
export MALLOC_TRIM_THRESHOLD_=4294967296
