"""Compare everything that can run one dense model or its pruned shape."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.examination import Findings, examine
from benchmarks.implementations import Subject, find_subjects, load, reference, save_files
from benchmarks.peers import Run
from benchmarks.results import Input, Row, Setting, make_rows
from benchmarks.timing import alternate
from espnet_prune.encoder import PRESETS, SSLEncoder

logger = logging.getLogger(__name__)

# Of outputs in float32; on a GPU, cuDNN's convolutions round their inputs to TF32.
_TOLERANCE = {"cpu": 1e-4, "cuda": 1e-2}


def compare(
    model: str,
    inputs: Sequence[Input],
    precisions: Sequence[str],
    setting: Setting,
    rounds: int,
    limit: float,
    folder: Path,
) -> Iterator[list[Row]]:
    """Check, weigh and time whatever runs a dense preset or its pruned shape.

    Args:
        model: the dense one's name.
        inputs, precisions: those to compare.
        setting: the device, threads and seed to use.
        rounds, limit: see :func:`~benchmarks.timing.alternate`.
        folder: for files, an empty one.

    Yields:
        The rows of each input, the smallest first.

    Raises:
        ValueError: the outputs of a subject are not those of our encoder.
        ChildProcessError: see :func:`~benchmarks.examination.examine`.
    """
    inputs = sorted(inputs, key=lambda each: each.batch * each.seconds)
    subjects = find_subjects(model, precisions, setting.device)
    findings: dict[Subject, list[Findings]] = {}
    for shape in dict.fromkeys(subject.model for subject in subjects):
        own = [subject for subject in subjects if subject.model == shape]
        examples = _write_files(own, inputs, setting, folder / shape)
        for subject in own:
            logger.info("examining %s", subject)
            findings[subject] = examine(
                subject, folder / shape, examples, setting.device, setting.threads
            )
            _check(subject, findings[subject], setting.device)
    runs: dict[Subject, Run] = {}
    for subject in subjects:
        runs[subject] = load(subject, folder / subject.model, setting.device)
        gc.collect()  # gigabytes may hang in cycles
    for index, input in enumerate(inputs):
        logger.info("timing %s, %s", model, input)
        wavs = input.waveforms(setting)
        found = {subject: each[index] for subject, each in findings.items()}
        samples = alternate(
            {subject: _call(run, wavs) for subject, run in runs.items()},
            {subject: each.seconds for subject, each in found.items()},
            reference(model),
            rounds,
            limit,
        )
        yield make_rows(setting, input, samples, reference(model), found)


@torch.no_grad()
def _write_files(
    subjects: Sequence[Subject], inputs: Sequence[Input], setting: Setting, folder: Path
) -> list[Path]:
    """Write an example of each input to check outputs by, and the weights of one shape."""
    shape = subjects[0].model
    logger.info("writing the files of %s", shape)
    folder.mkdir()
    torch.manual_seed(setting.seed)
    encoder = SSLEncoder(PRESETS[shape]()).to(setting.device).eval()
    examples = []
    for input in inputs:
        wavs = input.waveforms(setting)
        states = [state.cpu() for state in encoder(wavs).hidden_states]
        examples.append(folder / f"{input}.pt")
        torch.save({"wavs": wavs.cpu(), "states": states}, examples[-1])
    save_files(encoder.cpu(), subjects, folder)
    gc.collect()  # exporting leaves graphs behind
    return examples


def _check(subject: Subject, findings: Sequence[Findings], device: str) -> None:
    error = max(each.error for each in findings)
    bound = _TOLERANCE[device] if subject.precision == "float32" else 1.0
    if not error <= bound:
        raise ValueError(
            f"{subject}: expected our encoder's hidden states on the same weights, within "
            f"{bound:g}, found a relative error of {error:.2g}; its speed would mean nothing"
        )


def _call(run: Run, wavs: Tensor) -> Callable[[], None]:
    @torch.no_grad()
    def call() -> None:
        run(wavs)
        if wavs.is_cuda:
            torch.cuda.synchronize()

    return call
