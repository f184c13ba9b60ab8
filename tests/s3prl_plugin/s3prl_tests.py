"""Lets s3prl's own tests of its upstreams run on ours; a pytest plugin, see ``make test-hosts``.

They compare an upstream's states with those that s3prl publishes. Ours are of small pruned models,
so they are compared with what s3prl's own upstream computes from the same weights, masked.
"""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from s3prl import hub
from s3prl.nn import S3PRLUpstream
from s3prl.util.pseudo_data import get_pseudo_wavs
from torch import Tensor

from tests.formats.fairseq_models import NAMES
from tests.s3prl_plugin.published_files import published_config, write_pruned

_PREFIX, _WRONG = "pruned_", "_wrong"


def pytest_configure(config: pytest.Config) -> None:
    """Declare s3prl's marker."""
    config.addinivalue_line("markers", "upstream: tests of upstreams")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each of our upstreams, and once where the comparison must fail."""
    if "upstream_names" in metafunc.fixturenames:
        must_fail = pytest.mark.xfail(strict=True, raises=AssertionError)
        names = [_PREFIX + name for name in NAMES]
        wrong = [pytest.param(name + _WRONG, marks=must_fail) for name in names]
        compares = "forward_backward" not in metafunc.function.__name__
        metafunc.parametrize("upstream_names", names + wrong * compares, indirect=True)


@pytest.fixture
def upstream_names(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Register an upstream, and put the states to compare where the tests look for them."""
    name = request.param.removeprefix(_PREFIX)
    config = published_config(name.removesuffix(_WRONG))
    path, ckpt = write_pruned(tmp_path, config)
    original = S3PRLUpstream(f"{config.family}_local", str(path)).eval()
    error = 0.1 if name.endswith(_WRONG) else 0.0
    # s3prl compares values only where the numbers of frames differ, hence one frame less.
    states = [state[:, :-1] + error for state in _states(original)]
    torch.save(states, tmp_path / f"{request.param}.pt")
    entry = functools.partial(hub.pruned_wavlm, ckpt=ckpt)
    monkeypatch.setattr(hub, request.param, entry, raising=False)
    monkeypatch.setattr(request.module, "EXTRACTED_GT_DIR", tmp_path)
    monkeypatch.setattr(request.module, "_prepare_sample_hidden_states", lambda: None)
    return request.param


@torch.no_grad()
def _states(original: S3PRLUpstream) -> list[Tensor]:
    # Alone, for in a batch the original's states depend on the padding; past an item's end, ours
    # repeats its last frame.
    wavs, lengths = get_pseudo_wavs(padded=True)
    items = [
        original(wav[None, :length], length[None])[0]
        for wav, length in zip(wavs, lengths, strict=True)
    ]
    longest = max(item[0].size(1) for item in items)
    return [
        torch.cat([_stretch(state, longest) for state in layer])
        for layer in zip(*items, strict=True)
    ]


def _stretch(state: Tensor, frames: int) -> Tensor:
    return F.pad(state.mT, (0, frames - state.size(1)), mode="replicate").mT
