"""Training steps that are compared, and the peak memory of one in a process of its own."""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.implementations import IMPLEMENTATIONS, fast_precisions
from benchmarks.memory import peak_meter, run_alone
from benchmarks.public_ways import WAYS, Pair, Way
from benchmarks.results import Input, Setting, this_setting
from espnet_prune.distillation import LayerwiseDistillation
from espnet_prune.encoder import PRESETS, SSLEncoder
from espnet_prune.espnet.teacher import Teacher, TeacherCache
from espnet_prune.pruning import Pruner, PruningConfig


class Step(NamedTuple):
    """What is computed: with a teacher in some precision or none, with gates or none, or with the
    teacher's states from the files that the first call wrote."""

    teacher: str | None
    gated: bool
    cached: bool = False


STEPS: dict[str, Step | Way] = {
    "student alone": Step(None, False),
    "distillation": Step("float32", False),
    "distillation, pruning": Step("float32", True),
    "distillation, bfloat16 teacher": Step("bfloat16", False),
    "distillation, pruning, bfloat16 teacher": Step("bfloat16", True),
    "distillation, pruning, cached teacher": Step("float32", True, True),
    **WAYS,
}
BASELINE = "distillation"


def steps_of(model: str, device: str) -> list[str]:
    """The :data:`STEPS` that the preset ``model`` can take there.

    Public ways need torchaudio's model, and bfloat16 a device that does not emulate it.
    """
    precisions, family = (None, *fast_precisions(device)), PRESETS[model]().family
    known = IMPLEMENTATIONS["torchaudio"].installed

    def possible(step: Step | Way) -> bool:
        if isinstance(step, Way):
            return known and family in step.families
        return step.teacher in precisions

    return [name for name, step in STEPS.items() if possible(step)]


def make_steps(
    model: str, names: Sequence[str], input: Input, setting: Setting
) -> dict[str, Callable[[], None]]:
    """Forward and backward pass of steps of :data:`STEPS`: ours on one student, theirs on another.

    Args:
        model: the preset that students and teachers are.
        names: of the steps.
        input: the waveforms, unpadded.
        setting: the device and seed to use.
    """
    torch.manual_seed(setting.seed)
    encoder, wavs = SSLEncoder(PRESETS[model]()).to(setting.device), input.waveforms(setting)
    last = len(encoder.config.layers)
    layers = range(0, last + 1, last // 3)

    def run(learners: nn.Module, loss: Callable[[], Tensor]) -> None:
        loss().backward()
        learners.zero_grad()
        if wavs.is_cuda:
            torch.cuda.synchronize()

    made: dict[str, Callable[[], None]] = {}
    if theirs := [name for name in names if name in WAYS]:
        pair = Pair(encoder, layers).to(setting.device)
        made |= {name: partial(run, pair, partial(pair.loss, wavs, WAYS[name])) for name in theirs}
    own = {name: step for name in names if isinstance(step := STEPS[name], Step)}
    if own:
        ours = _Ours(encoder, layers, own.values())
        made |= {name: partial(run, ours, partial(ours.loss, wavs, own[name])) for name in own}
    return {name: made[name] for name in names}


class _Ours(nn.Module):
    """A student of the weights of ``encoder``, its gates, and the teachers of ``steps``."""

    def __init__(self, encoder: SSLEncoder, layers: Sequence[int], steps: Collection[Step]):
        super().__init__()
        self.student = copy.deepcopy(encoder).train()
        self.folder = tempfile.TemporaryDirectory()  # lives as long as this
        cache = TeacherCache(self.folder.name, layers)
        self.teachers = {
            step: Teacher(encoder, step.teacher, cache if step.cached else None)
            for step in steps
            if step.teacher
        }
        pruner = Pruner(self.student, PruningConfig(target=0.8, warmup_steps=100))
        self.pruner = pruner.to(next(encoder.parameters()).device)
        self.distillation = LayerwiseDistillation(layers)

    def loss(self, wavs: Tensor, step: Step) -> Tensor:
        """That of a step ``()``, on waveforms ``(B, T)``."""
        run = partial(self.pruner, self.student) if step.gated else self.student
        states, lengths = run(wavs)
        if step.teacher is None:
            return states[-1].square().mean()
        expected = self.teachers[step](wavs, None, [*map(str, range(len(wavs)))])
        distance = self.distillation(states, expected, lengths).total
        return distance + self.pruner.penalty(self.student).loss if step.gated else distance


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
    peak = peak_meter(args.device, ("torchaudio.models",) if args.step in WAYS else ())
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
