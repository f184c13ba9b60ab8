"""ESPnet task: distil a teacher into a student, pruning the student on the way if asked."""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.utils.types import str2bool
from torch import Tensor

from espnet_prune.distillation import LayerwiseDistillation
from espnet_prune.encoder import SSLEncoder
from espnet_prune.espnet.guarded_task import WindowModel, WindowTask
from espnet_prune.espnet.objective import (
    EncoderObjective,
    add_objective_arguments,
    build_distillation,
    build_pruner,
)
from espnet_prune.espnet.teacher import Teacher, TeacherCache, build_cache
from espnet_prune.pruning import Pruner


class RandomCrops:
    """Collation of utterances, each cropped at random to the shortest of its batch.

    DPHuBERT's batches (Peng et al., 2023), without padding. Where a crop begins follows from
    ``seed`` (0 or more), ``epoch``, the utterance's name and the length alone: neither workers nor
    a resumed training change it. Each of several processes crops its own part of a batch, to the
    shortest in there. ``collate`` makes a batch of utterances that are equally long.
    """

    def __init__(self, seed: int, collate: Callable[..., tuple[list[str], dict[str, Tensor]]]):
        self.seed, self.collate, self.epoch = seed, collate, 0

    def __call__(
        self, data: Collection[tuple[str, dict[str, np.ndarray]]]
    ) -> tuple[list[str], dict[str, Tensor]]:
        """From ``speech`` ``(T_i,)`` each to ``speech`` ``(B, T)``, ``speech_lengths`` ``(B,)``."""
        shortest = min(len(values["speech"]) for _, values in data)
        return self.collate(
            [(name, {"speech": self._crop(name, v["speech"], shortest)}) for name, v in data]
        )

    def _crop(self, name: str, speech: np.ndarray, length: int) -> np.ndarray:
        random = np.random.default_rng((self.seed, self.epoch, zlib.crc32(name.encode())))
        start = random.integers(len(speech) - length + 1)
        return speech[start : start + length]


class EpochIterFactory(AbsIterFactory):
    """ESPnet's batches of an epoch, collated by crops that are told which epoch it is."""

    def __init__(self, factory: AbsIterFactory, crops: RandomCrops):
        self.factory, self.crops = factory, crops

    def build_iter(self, epoch: int, shuffle: bool | None = None) -> Iterator[Any]:
        """The batches of ``epoch``, counted from 1."""
        self.crops.epoch = epoch
        return self.factory.build_iter(epoch, shuffle)


class ESPnetDistillationModel(WindowModel):
    """A student drawn to its teacher's hidden states while its gates close under a budget.

    The projections of ``distillation`` learn with the student; without a ``pruner`` it is small
    already.
    """

    def __init__(
        self,
        student: SSLEncoder,
        teacher: SSLEncoder,
        distillation: LayerwiseDistillation,
        pruner: Pruner | None,
        teacher_precision: str = "float32",
        teacher_cache: TeacherCache | None = None,
    ):
        super().__init__()
        self.student = student.train()  # ESPnet3 trains in the mode that a model is built in
        frozen = Teacher(teacher, teacher_precision, teacher_cache)
        self.objective = EncoderObjective(pruner, distillation, frozen)

    def forward(
        self,
        speech: Tensor,
        speech_lengths: Tensor | None = None,
        utt_id: Sequence[str] | None = None,
        **_: Any,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, statistics and weight of a batch of waveforms ``(B, T)``, samples ``(B,)``.

        Without lengths, as chunks come from ESPnet, all are whole.
        """
        self.objective.hear(utt_id)
        output = self.objective(self.student, speech, speech_lengths)
        loss, stats = self.objective.add_to(None, self.student)
        weight = output.lengths.sum().to(loss.dtype)
        return force_gatherable((loss, stats, weight), loss.device)


class DistillationTask(WindowTask):
    """Joint layer-wise distillation and pruning, then distillation alone."""

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """``--student``, ``--crop``, and those of the objective."""
        group = parser.add_argument_group(description="Distillation and pruning")
        group.add_argument("--student", help="Folder of the encoder that learns")
        group.add_argument(
            "--crop",
            type=str2bool,
            default=False,
            help="Crop each training utterance at random to the shortest of its batch instead of "
            "padding it to the longest; a batch type that sorts (numel, sorted) loses little",
        )
        add_objective_arguments(parser)
        # Not argparse's own way: ESPnet reads defaults from an empty command line.
        required = parser.get_default("required")
        parser.set_defaults(required=[*required, "student", "teacher"])

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """Audio alone."""
        return ("speech",)

    @classmethod
    def build_collate_fn(
        cls, args: argparse.Namespace, train: bool
    ) -> CommonCollateFn | RandomCrops:
        """Pad with zeros, or crop if ``--crop`` asks for it; validation hears whole utterances."""
        collate = super().build_collate_fn(args, train)
        return RandomCrops(args.seed, collate) if train and args.crop else collate

    @classmethod
    def build_sequence_iter_factory(
        cls, args: argparse.Namespace, iter_options: Any, mode: str
    ) -> AbsIterFactory:
        """ESPnet's own; crops are told the epoch."""
        factory = super().build_sequence_iter_factory(args, iter_options, mode)
        crops = iter_options.collate_fn
        return EpochIterFactory(factory, crops) if isinstance(crops, RandomCrops) else factory

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ESPnetDistillationModel:
        """Build student, teacher, loss and, if ``--pruning_conf`` asks for it, gates."""
        student, pruner = build_pruner(SSLEncoder.from_pretrained(args.student), args)
        distillation = build_distillation(student, args.distill_conf)
        # Several processes have to know that what lies above the last layer does not learn.
        args.unused_parameters |= max(distillation.layers) < len(student.config.layers)
        return ESPnetDistillationModel(
            student,
            SSLEncoder.from_pretrained(args.teacher),
            distillation,
            pruner,
            args.teacher_precision,
            build_cache(args, distillation.layers),
        )
