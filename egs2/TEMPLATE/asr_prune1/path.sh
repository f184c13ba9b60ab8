# The project's own virtual environment, if `make` has made one; else the Python that is there.
# shellcheck shell=bash
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../.." && pwd)
if [ -x "${root}/.venv/bin/python3" ]; then
    export PATH="${root}/.venv/bin:${PATH}"
fi
export PYTHONPATH="${root}${PYTHONPATH:+:${PYTHONPATH}}"
export PYTHONUNBUFFERED=1
export PYTHONIOENCODING=UTF-8
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$(nproc)}"
# glibc: keep freed pages. Training on the CPU frees and allocates large tensors at every step and
# would otherwise spend a good part of its time on page faults.
export MALLOC_MMAP_THRESHOLD_=1073741824
export MALLOC_TRIM_THRESHOLD_=4294967296
