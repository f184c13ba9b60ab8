"""A published file gives the states of s3prl's own upstream, and so does a pruned one."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

pytest.importorskip("s3prl")

from s3prl.nn import S3PRLUpstream

from espnet_prune.encoder import SSLConfig
from tests.formats.fairseq_models import NAMES, lengths_counted_alike
from tests.formats.parity import TOLERANCE, error, waveforms
from tests.s3prl_plugin.published_files import published_config, write_dense, write_pruned


class Pair(NamedTuple):
    """Two upstreams of one model."""

    config: SSLConfig
    original: S3PRLUpstream
    ours: S3PRLUpstream

    def each(self, wavs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """The states of a list of waveforms, ours and the original's."""
        return _states(self.ours, wavs), _states(self.original, wavs)


@pytest.fixture(scope="module", params=NAMES)
def config(request: pytest.FixtureRequest) -> SSLConfig:
    return published_config(request.param)


@pytest.fixture(scope="module", params=[write_dense, write_pruned], ids=["dense", "pruned"])
def pair(
    request: pytest.FixtureRequest, config: SSLConfig, tmp_path_factory: pytest.TempPathFactory
) -> Pair:
    path, ours = request.param(tmp_path_factory.mktemp("model"), config)
    return Pair(
        config,
        S3PRLUpstream(f"{config.family}_local", str(path)).double(),
        S3PRLUpstream("pruned_wavlm", str(ours)).double(),
    )


@torch.no_grad()
def _states(upstream: S3PRLUpstream, wavs: list[Tensor]) -> list[Tensor]:
    # The rounding of single precision alone comes near the tolerance.
    lengths = torch.tensor([len(wav) for wav in wavs])
    return upstream(pad_sequence(wavs, batch_first=True).double(), lengths)[0]


def _item(states: list[Tensor], index: int, frames: int) -> list[Tensor]:
    return [state[index : index + 1, :frames] for state in states]


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_one_waveform(pair, training):
    for upstream in (pair.original, pair.ours):
        upstream.train(training)  # without dropout, both give the same
    for wav in waveforms([800, 1680, 5000, 16000, 16001]):
        assert error(*pair.each([wav])) <= TOLERANCE


def test_an_item_of_a_batch_is_what_the_original_makes_of_it_alone(pair):
    wavs = waveforms([5000, 800, 9001])
    ours = _states(pair.ours, wavs)
    for index, wav in enumerate(wavs):
        alone = _states(pair.original, [wav])
        assert error(_item(ours, index, alone[0].size(1)), alone) <= TOLERANCE


def test_a_batch(pair):
    # The group norm of the originals takes padding for speech.
    group = pair.config.conv_norm == "group"
    lengths = (3599, 3599) if group else lengths_counted_alike(pair.config, longest=3599)
    ours, theirs = pair.each(waveforms(lengths))
    for index, frames in enumerate(map(pair.config.num_frames, lengths)):
        assert error(_item(ours, index, frames), _item(theirs, index, frames)) <= TOLERANCE


def test_s3prl_is_told_the_same(pair):
    for name in ("num_layers", "hidden_sizes", "downsample_rates"):
        assert getattr(pair.ours, name) == getattr(pair.original, name)
    for training in (False, True):
        pair.ours.train(training)
        assert len(_states(pair.ours, waveforms([1600]))) == pair.original.num_layers == 4
