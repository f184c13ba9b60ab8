"""Training steps that are compared, and the peak memory of one in a process of its own."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.memory import peak_meter, run_alone
from benchmarks.results import Input, Setting, this_setting
from espnet_prune.distillation import LayerwiseDistillation
from espnet_prune.encoder import PRESETS, SSLEncoder
from espnet_prune.inference import PRECISIONS, inference_form
from espnet_prune.pruning import Pruner, PruningConfig


class Step(NamedTuple):
    """What is computed: with a teacher in some precision or none, with gates or none."""

    teacher: str | None
    gated: bool


STEPS = {
    "student alone": Step(None, False),
    "distillation": Step("float32", False),
    "distillation, pruning": Step("float32", True),
    "distillation, bfloat16 teacher": Step("bfloat16", False),
    "distillation, pruning, bfloat16 teacher": Step("bfloat16", True),
}
BASELINE = "distillation"


def make_steps(
    model: str, names: Sequence[str], input: Input, setting: Setting
) -> dict[str, Callable[[], None]]:
    """Forward and backward pass of steps of :data:`STEPS`, on one student.

    Args:
        model: the preset that student and teachers are.
        names: of the steps.
        input: the waveforms, unpadded.
        setting: the device and seed to use.
    """
    torch.manual_seed(setting.seed)
    config = PRESETS[model]()
    student = SSLEncoder(config).to(setting.device).train()
    teacher = SSLEncoder(config).to(setting.device)
    precisions = {STEPS[name].teacher for name in names}
    teachers = {each: inference_form(teacher, PRECISIONS[each]) for each in precisions if each}
    pruner = Pruner(student, PruningConfig(target=0.8, warmup_steps=100)).to(setting.device)
    layers = range(0, len(config.layers) + 1, len(config.layers) // 3)
    distillation = LayerwiseDistillation(layers)
    wavs = input.waveforms(setting)

    def loss(step: Step) -> Tensor:
        states, lengths = pruner(student, wavs) if step.gated else student(wavs)
        if step.teacher is None:
            return states[-1].square().mean()
        with torch.no_grad():
            expected = teachers[step.teacher](wavs).hidden_states
        distance = distillation(states, [state.float() for state in expected], lengths).total
        return distance + pruner.penalty(student).loss if step.gated else distance

    def run(step: Step) -> None:
        loss(step).backward()
        student.zero_grad()
        pruner.zero_grad()
        if wavs.is_cuda:
            torch.cuda.synchronize()

    return {name: partial(run, STEPS[name]) for name in names}


def peak_of_step(model: str, name: str, input: Input, setting: Setting) -> float | None:
    """Peak memory in MiB of models, gradients and the step; None where the system does not tell.

    Raises:
        ChildProcessError: see :func:`~benchmarks.memory.run_alone`.
    """
    values = model, name, *input, setting.device, setting.threads, setting.seed
    return run_alone(f"{model}, {name}", __name__, values)


def main() -> None:
    """The other process: print the peak memory as JSON."""
    parser = argparse.ArgumentParser()
    for name, kind in {
        "model": str, "step": str, "batch": int, "seconds": float,
        "device": str, "threads": int, "seed": int,
    }.items():  # fmt: skip
        parser.add_argument(name, type=kind)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    setting = this_setting(args.device, args.threads, args.seed)
    peak = peak_meter(args.device, ())
    input = Input(args.batch, args.seconds)
    (step,) = make_steps(args.model, [args.step], input, setting).values()
    peaks = [peak.restart()]
    for _ in range(2):  # the first one leaves memory behind
        step()
        peaks.append(peak.restart())
    known = [each for each in peaks if each is not None]
    print(json.dumps(max(known) if len(known) == len(peaks) else None))


if __name__ == "__main__":
    main()
