"""Frame labels in training lie on the grid of frames that the encoder has, or it is said so."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from espnet2.train.dataset import DATA_TYPES

from espnet_prune.data import Region, Turn, write_rttm
from espnet_prune.diarization import FrameGrid, cut_windows, write_windows
from espnet_prune.diarization.head import DiarizationConfig, HeadConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import Featurizer, SSLConfig
from espnet_prune.espnet.powerset_task import ESPnetPowersetModel
from tests.diarization.test_frames import ENCODERS
from tests.encoders import random_encoder


@pytest.fixture
def windows(tmp_path):
    """Windows of a length that no hop divides, somebody speaking from 1.0 to 1.5 s of the first."""
    write_windows(tmp_path / "windows", cut_windows({"a": [Region("a", 0, 4.1)]}, 2.03, 2.03))
    write_rttm(tmp_path / "rttm", {"a": [Turn("a", 1.0, 0.5, "x")]})
    return tmp_path / "windows"


def labels_of(windows, data_type: str) -> list[np.ndarray]:
    """What ESPnet's dataset gives."""
    (entry,) = (entry for name, entry in DATA_TYPES.items() if re.fullmatch(name, data_type))
    data = entry["func"](str(windows), **dict.fromkeys(entry["kwargs"], data_type))
    return [data[key] for key in data]


def model_of(encoder: SSLConfig) -> ESPnetPowersetModel:
    config = DiarizationConfig(HeadConfig(8, 1, 2, 8, 3), max_speakers=2, window_size=2.03)
    return ESPnetPowersetModel(DiarizationModel(Featurizer(random_encoder(encoder)), config))


def train(model: ESPnetPowersetModel, labels: list[np.ndarray]) -> torch.Tensor:
    samples = round(2.03 * 16000)
    lengths = torch.tensor([len(each) for each in labels])
    batch = torch.nn.utils.rnn.pad_sequence([*map(torch.from_numpy, labels)], batch_first=True)
    wavs = torch.randn(len(labels), samples)
    return model(wavs, torch.full((len(labels),), samples), batch, lengths)[0]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_labels_are_those_of_the_encoder_or_it_is_said(windows, encoder) -> None:
    model, grid = model_of(encoder), FrameGrid.of(encoder)
    asked = f"window_labels_2_{grid.name}"
    labels = labels_of(windows, asked)
    assert train(model, labels).isfinite()
    heard = labels[0][:, 0].nonzero()[0] * grid.shift + grid.centre
    assert heard[0] == pytest.approx(1.0, abs=grid.shift + 1e-9)
    assert heard[-1] == pytest.approx(1.5, abs=grid.shift + 1e-9)
    plain = labels_of(windows, "window_labels_2")
    if len(plain[0]) == len(labels[0]):
        assert all(map(np.array_equal, plain, labels)) == (grid == FrameGrid())
        return
    with pytest.raises(
        ValueError, match=f"expected labels of .*found .*give the labels as {asked}"
    ):
        train(model, plain)


def test_the_plain_data_type_is_of_the_published_encoders(windows) -> None:
    plain, named = (labels_of(windows, f"window_labels_2{grid}") for grid in ("", "_320_400"))
    assert len(plain) == 3 and all(map(np.array_equal, plain, named))
    for wrong in ("window_labels_2_640", "window_labels_2_0_400", "window_labels_x"):
        assert not any(re.fullmatch(name, wrong) for name in DATA_TYPES)
