"""A subject in a process of its own: its peak memory, its error, and what goes wrong there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from benchmarks.examination import examine, relative_error
from benchmarks.implementations import OURS, Subject, save_files
from espnet_prune.encoder import SSLEncoder, TransformerLayerConfig
from tests.encoders import random_encoder, tiny_config

SUBJECT = Subject("tiny", OURS, "float32")


def examples(encoder: SSLEncoder, folder: Path, *lengths: int) -> list[Path]:
    paths = []
    for length in lengths:
        wavs = torch.randn(2, length)
        with torch.no_grad():
            states = encoder(wavs).hidden_states
        paths.append(folder / f"{length}.pt")
        torch.save({"wavs": wavs, "states": states}, paths[-1])
    return paths


def test_findings(tmp_path: Path) -> None:
    layer = TransformerLayerConfig((0, 1, 2, 3), 250_000)  # some 64 MB of weights
    encoder = random_encoder(tiny_config(layers=(layer,) * 2))
    save_files(encoder, [SUBJECT], tmp_path)
    short, long = examine(SUBJECT, tmp_path, examples(encoder, tmp_path, 500, 5000), "cpu", 1)
    for found in (short, long):
        assert found.error < 1e-5 and found.seconds > 0
    if sys.platform == "linux":
        weights = sum(p.numel() for p in encoder.parameters()) * 4 / 2**20
        assert short.peak_mib is not None and long.peak_mib is not None
        assert weights < short.peak_mib <= long.peak_mib
        assert long.peak_mib > short.peak_mib + 300  # the FFN's units in 500 frames


def test_a_process_that_fails(tmp_path: Path) -> None:
    with pytest.raises(ChildProcessError, match=r"(?s)tiny by espnet_prune .* status 1 .*found no"):
        examine(SUBJECT, tmp_path, [tmp_path / "none.pt"], "cpu", 1)


def test_relative_error() -> None:
    expected = [torch.ones(4), 2 * torch.ones(4), 3 * torch.ones(4)]
    assert relative_error(expected, expected) == 0
    assert relative_error(expected[1:], expected) == 0  # without the first layer's input
    assert relative_error([torch.ones(4), 3 * torch.ones(4), expected[2]], expected) == 0.5
    assert relative_error([torch.full((4,), torch.nan)], expected) != 0
