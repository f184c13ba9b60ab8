"""A finished recipe, made up: models, trainings, turns and scores."""

from __future__ import annotations

import contextlib
import io
import math
import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import torch

from espnet_prune.bin import compare_der, score_der
from espnet_prune.data import Region, Turn, write_rttm, write_uem
from espnet_prune.diarization.head import DiarizationConfig, HeadConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import (
    ConvLayerConfig,
    Featurizer,
    SSLConfig,
    SSLEncoder,
    TransformerLayerConfig,
)
from tests.encoders import mini_config

LENGTH = 60.0  # seconds of a meeting
EPOCH_SECONDS = 1.5  # of training, and of validation
NOISY = ("loss", "loss_distill", "l1", "cosine", "der", "miss")  # worse in validation


def dense_config() -> SSLConfig:
    """Three small layers behind the published front end's strides."""
    layer = TransformerLayerConfig((0, 1, 2, 3), 32)
    mini = mini_config()
    return replace(
        mini,
        conv_layers=tuple(replace(conv, channels=8) for conv in mini.conv_layers),
        embed_dim=16,
        num_heads=4,
        head_dim=4,
        layers=(layer,) * 3,
        pos_conv_kernel=8,
        pos_conv_groups=4,
    )


def pruned_config() -> SSLConfig:
    """The same with less in every layer, and one emptied FFN."""
    dense = dense_config()
    channels = (8, 5, 4, 6, 3, 7, 2)
    return replace(
        dense,
        conv_layers=tuple(
            ConvLayerConfig(kept, conv.kernel, conv.stride)
            for kept, conv in zip(channels, dense.conv_layers, strict=True)
        ),
        layers=(
            TransformerLayerConfig((0, 2), 9),
            TransformerLayerConfig((1,), 0),
            TransformerLayerConfig((0, 1, 3), 20),
        ),
    )


def make_recipe(exp: Path, data: Path) -> None:
    """Write everything that the stages before the report leave in ``exp`` and ``data``."""
    torch.manual_seed(0)
    _diarization_model(dense_config()).save_pretrained(exp / "dense")
    _diarization_model(pruned_config()).save_pretrained(exp / "pruned")
    _training(exp / "dense_train", 6, lambda epoch: _fine_tuning(epoch, 0.1))
    _training(exp / "prune_train", 8, _pruning)
    _training(exp / "distill_train", 4, _distillation)
    _training(exp / "pruned_train", 6, lambda epoch: _fine_tuning(epoch, 0.18))
    _meetings(exp, data)


def _diarization_model(config: SSLConfig) -> DiarizationModel:
    head = HeadConfig(hidden=8, num_layers=1, num_heads=2, ffn=8, kernel=3)
    return DiarizationModel(Featurizer(SSLEncoder(config)), DiarizationConfig(head=head))


def _training(folder: Path, epochs: int, statistics) -> None:
    """Write what ESPnet's trainer does, with its own reporter, optimizer and scheduler states."""
    reporting = pytest.importorskip("espnet2.train.reporter")
    warmup = pytest.importorskip("espnet2.schedulers.warmup_lr")
    module = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(module.parameters())
    scheduler = warmup.WarmupLR(optimizer, warmup_steps=10)
    reporter = reporting.Reporter()
    for epoch in range(1, epochs + 1):
        reporter.set_epoch(epoch)
        module(torch.ones(2)).sum().backward()
        optimizer.step()
        scheduler.step()
        for split, offset in (("train", 0.0), ("valid", 0.05)):
            with reporter.observe(split) as observed:
                stats = statistics(epoch)
                for _ in range(2):
                    noisy = {k: torch.tensor(v + offset * (k in NOISY)) for k, v in stats.items()}
                    observed.register(noisy, torch.tensor(3.0))
                    observed.register({"forward_time": 0.01})
                    observed.next()
            reporter.stats[epoch][split]["time"] = timedelta(seconds=EPOCH_SECONDS)
    folder.mkdir(parents=True)
    state = {
        "model": module.state_dict(),
        "reporter": reporter.state_dict(),
        "optimizers": [optimizer.state_dict()],
        "schedulers": [scheduler.state_dict()],
        "scaler": None,
    }
    torch.save(state, folder / "checkpoint.pth")


def _fine_tuning(epoch: int, floor: float) -> dict[str, float]:
    miss, false_alarm, confusion = floor / 2, floor / 4, floor / 4 + 0.5 * math.exp(-epoch / 2)
    der = miss + false_alarm + confusion
    return {
        "loss": 3 * der,
        "der": der,
        "miss": miss,
        "false_alarm": false_alarm,
        "confusion": confusion,
    }


def _distillation(epoch: int) -> dict[str, float]:
    return {"loss": 0.5 / epoch, "loss_distill": 0.5 / epoch, "l1": 0.4, "cosine": 0.1}


def _pruning(epoch: int) -> dict[str, float]:
    target = 0.8 * min(1.0, epoch / 5)
    return {
        "loss": 0.3 + target,
        "loss_distill": 0.3 + target / 2,
        "l1": 0.2,
        "cosine": 0.1,
        "sparsity": target - 0.2 * math.exp(-epoch / 2),
        "target_sparsity": target,
        "lambda1": 0.4 * math.sin(epoch / 2),
        "lambda2": 0.1 * epoch,
        "expected_params": 1000.0,
        "expected_macs": 1000.0,
    }


def _meetings(exp: Path, data: Path) -> None:
    names = ("meeting1", "meeting2", "meeting3")
    reference = {name: _conversation(name, seed) for seed, name in enumerate(names)}
    data.mkdir(parents=True)
    write_rttm(data / "rttm", reference)
    write_uem(data / "uem", {name: [Region(name, 0, LENGTH)] for name in names})
    for model, worst in (("dense", 0.5), ("pruned", 1.0)):
        folder = exp / f"diarized_{model}"
        folder.mkdir()
        hypothesis = {
            name: _distorted(turns, worst * (1 + index), index)
            for index, (name, turns) in enumerate(reference.items())
        }
        write_rttm(folder / "test.rttm", hypothesis)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            options = ["--uem", str(data / "uem"), "--json"]
            score_der.main([str(data / "rttm"), str(folder / "test.rttm"), *options])
        (folder / "test.json").write_text(printed.getvalue())
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        turns = [str(exp / f"diarized_{model}/test.rttm") for model in ("dense", "pruned")]
        compare_der.main([str(data / "rttm"), *turns, *options])
    (folder / "test.difference.json").write_text(printed.getvalue())


def _conversation(name: str, seed: int) -> list[Turn]:
    generator = random.Random(seed)
    turns, time = [], 0.5
    while time < LENGTH - 5:
        duration = generator.uniform(1, 4)
        turns.append(Turn(name, time, duration, generator.choice(("anna", "ben", "carla"))))
        time += max(0.5, duration + generator.uniform(-0.8, 0.8))
    return turns


def _distorted(turns: list[Turn], worst: float, seed: int) -> list[Turn]:
    """Move the ends by at most ``worst`` times 0.4 s; rename the speakers, some turns wrongly."""
    generator = random.Random(seed)
    names = {"anna": "speaker2", "ben": "speaker0", "carla": "speaker1"}
    moved = []
    for turn in turns:
        start = max(0.0, turn.start + generator.uniform(-0.4, 0.4) * worst)
        duration = max(0.3, turn.end + generator.uniform(-0.4, 0.4) * worst - start)
        wrong = generator.random() < 0.08 * worst
        name = f"speaker{generator.randrange(5)}" if wrong else names[turn.speaker]
        moved.append(Turn(turn.recording, start, duration, name))
    return moved
