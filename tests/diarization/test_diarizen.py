"""A DiariZen release diarizes as the original does, or it is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from espnet_prune import Diarizer
from espnet_prune.diarization.diarizen import read_released
from espnet_prune.diarization.head import DiarizationConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import ConfigError, SSLEncoder
from espnet_prune.encoder.typed import read_typed
from espnet_prune.storage import CheckpointError
from tests.formats.diarizen_format import Release

TOLERANCE = 1e-5


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path, "base")


def windows() -> Tensor:
    """Noise, silence and noise after a silence, of 1.5 s each."""
    noise = 0.1 + 0.3 * torch.randn(3, 24000, generator=torch.Generator().manual_seed(4))
    noise[1] = 0.0
    noise[2, :9000] = 0.0
    return noise


@pytest.mark.parametrize("size", ["base", "large"])
@pytest.mark.parametrize("speakers", [(3, 2), (4, 2), (4, 4)])
@torch.no_grad()
def test_log_probabilities_are_the_originals(
    tmp_path: Path, size: str, speakers: tuple[int, int]
) -> None:
    chunk, frame = speakers
    release = Release(tmp_path, size, max_speakers_per_chunk=chunk, max_speakers_per_frame=frame)
    model = DiarizationModel.from_pretrained(tmp_path)
    assert not model.training
    expected = release.log_probabilities(windows())
    found, frames = model(windows())
    assert found.shape == expected.shape and frames.tolist() == [74, 74, 74]
    assert float((found - expected).abs().max()) <= TOLERANCE
    alone = torch.cat([model(wav[None])[0] for wav in windows()])
    assert float((alone - expected).abs().max()) <= TOLERANCE


@torch.no_grad()
def test_parity_sees_every_part(release: Release) -> None:
    model = DiarizationModel.from_pretrained(release.folder)
    expected = release.log_probabilities(windows())
    tensors = {**dict(model.head.named_parameters()), **dict(model.head.named_buffers())}
    for name, tensor in {"weights": model.featurizer.weights, **tensors}.items():
        if not tensor.is_floating_point():  # counts batches
            continue
        before = tensor.clone()
        tensor[: len(tensor) // 3] += 0.1
        assert float((model(windows())[0] - expected).abs().max()) > 100 * TOLERANCE, name
        tensor.copy_(before)
    assert float((model(windows())[0] - expected).abs().max()) <= TOLERANCE


def test_config_is_the_releases(release: Release) -> None:
    model = DiarizationModel.from_pretrained(release.folder / "pytorch_model.bin")
    config = model.config
    assert (config.max_speakers, config.max_simultaneous, config.window_size) == (3, 2, 2)
    assert config.head.dropout == 0.2 and config.head.norm == "batch"
    del release.args["max_speakers_per_frame"], release.args["chunk_size"]
    release.write()
    assert DiarizationModel.from_pretrained(release.folder).config.window_size == 5


def test_encoder_alone_is_the_same(release: Release) -> None:
    model, encoder = (
        kind.from_pretrained(release.folder) for kind in (DiarizationModel, SSLEncoder)
    )
    assert encoder.config == model.encoder.config
    expected = model.encoder.state_dict()
    assert all(torch.equal(expected[key], value) for key, value in encoder.state_dict().items())


@torch.no_grad()
def test_round_trip(release: Release, tmp_path: Path) -> None:
    model = DiarizationModel.from_pretrained(release.folder)
    model.save_pretrained(tmp_path / "ours")
    again = DiarizationModel.from_pretrained(tmp_path / "ours")
    assert (again.config, again.encoder.config) == (model.config, model.encoder.config)
    state = again.state_dict()
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert torch.equal(again(windows())[0], model(windows())[0])


def test_averaged_counts_of_batches(release: Release) -> None:
    counts = {k: torch.tensor(7.4) for k in release.head if k.endswith("num_batches_tracked")}
    assert len(counts) == release.args["num_layer"]
    release.head.update(counts)
    release.write()
    DiarizationModel.from_pretrained(release.folder)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda head: head.update({"conformer.pos_emb.pe_k.weight": torch.zeros(4)}), "surplus"),
        (lambda head: head.pop("lnorm.bias"), "missing: lnorm.bias;"),
        (lambda head: head.update({"weight_sum.weight": torch.zeros(1, 7)}), r"\(1, 7\) instead"),
        (
            lambda head: head.update({"classifier.bias": torch.zeros(8)}),
            r"of another shape: classifier.bias \(8,\) instead of \(7,\)",
        ),
        (
            lambda head: head.pop("conformer.conformer_layer.1.mha.mha.linearK.bias"),
            "missing: conformer.conformer_layer.1.mha.mha.linearK.bias;",
        ),
        (lambda head: head.clear(), "missing: .* and 73 more"),
    ],
)
def test_every_key_counts(
    release: Release, change: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    change(release.head)
    release.write()
    with pytest.raises(CheckpointError, match=message):
        DiarizationModel.from_pretrained(release.folder)


@pytest.mark.parametrize(
    "args, message",
    [
        ({"use_posi": True}, "expected use_posi = False"),
        (
            {"output_activate_function": "ReLU"},
            "output_activate_function: expected true or false, found 'ReLU'",
        ),
        ({"output_activate_function": True}, "expected output_activate_function = False"),
        ({"sample_rate": 8000}, "expected sample_rate = 16000"),
        ({"max_speakers_per_frame": 5}, "expected 1 <= max_simultaneous <= max_speakers"),
        ({"num_head": 5}, "num_heads to divide its width of 12, found 5"),
        ({"kernel_size": 4}, "of an odd number"),
    ],
)
def test_what_we_do_not_compute(release: Release, args: dict[str, object], message: str) -> None:
    release.args |= args
    release.write()
    with pytest.raises(CheckpointError, match=message):
        read_released(release.folder)


def test_diarizes_a_recording(release: Release, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).standard_normal(16000 * 7) * 0.1
    samples *= np.repeat(np.random.default_rng(1).random(28), 4000)
    soundfile.write(tmp_path / "meeting.wav", samples, 16000)
    annotation = Diarizer.from_pretrained(release.folder)(tmp_path / "meeting.wav")
    assert annotation and annotation.get_timeline().extent().end <= 7.0


def test_hub(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download_folder(name: str, revision: str | None, patterns: list[str]) -> Path:
        asked.append((name, revision, "config.toml" in patterns))
        return release.folder

    def push_folder(folder: str, *options: object) -> str:
        assert DiarizationModel.from_pretrained(folder).config == model.config
        asked.append(options)
        return "address"

    monkeypatch.setattr("espnet_prune.formats.sources.download_folder", download_folder)
    monkeypatch.setattr("espnet_prune.diarization.model.push_folder", push_folder)
    model = DiarizationModel.from_pretrained("owner/diarizen@v2")
    assert asked.pop() == ("owner/diarizen", "v2", True)
    assert model.push_to_hub("owner/mine", private=True, revision="v1", token="t") == "address"
    assert asked.pop() == ("owner/mine", True, "v1", "t")


def test_heads_take_one_of_two_norms() -> None:
    assert read_typed(DiarizationConfig, {"head": {"num_layers": 1}}).head.norm == "group"
    with pytest.raises(ConfigError, match="head.norm: expected .group. or .batch., found .layer."):
        read_typed(DiarizationConfig, {"head": {"norm": "layer"}})


BAD = [-4, 0, 10**6, 10**12, 0.5, float("nan"), "many"]


@pytest.mark.parametrize("value", BAD, ids=lambda value: repr(value)[:9])
def test_values_of_a_config(release: Release, value: object) -> None:
    # Dropout is no part of what it computes; the rate, the channel and the encoder's own have other
    # tests, or are not read.
    for key in ("attention_in", "ffn_hidden", "num_head", "num_layer", "kernel_size", "dropout",
                "max_speakers_per_chunk", "max_speakers_per_frame", "chunk_size"):  # fmt: skip
        before = dict(release.args)
        release.args[key] = value
        release.write()
        try:
            model = DiarizationModel.from_pretrained(release.folder)
        except (CheckpointError, ConfigError) as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert model(windows())[0].isfinite().all()
        release.args.clear()
        release.args.update(before)
