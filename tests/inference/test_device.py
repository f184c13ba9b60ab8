"""Which device ``auto`` means, and what is said of one that is not there."""

from __future__ import annotations

import pytest
import torch

from espnet_prune.encoder import ConfigError
from espnet_prune.inference import usable_device

KINDS = {"cuda": torch.cuda, "mps": torch.backends.mps, "xpu": torch.xpu}


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        ((), "cpu"),
        (("cuda", "mps", "xpu"), "cuda"),
        (("mps", "xpu"), "mps"),
        (("xpu",), "xpu"),
    ],
)
def test_the_first_that_is_there(monkeypatch: pytest.MonkeyPatch, there, chosen: str) -> None:
    for name, kind in KINDS.items():
        monkeypatch.setattr(kind, "is_available", lambda name=name: name in there)
    asked = []
    monkeypatch.setattr(torch, "empty", lambda *_, device: asked.append(device))
    assert usable_device("auto") == torch.device(chosen) == asked[0]


def test_what_is_not_there() -> None:
    absent = [name for name, kind in KINDS.items() if not kind.is_available()]
    for name in [*absent, "meta", "toaster"]:
        with pytest.raises(ConfigError, match=f"found {name} .*; use auto or cpu") as refusal:
            usable_device(name)
        assert len(str(refusal.value).splitlines()) == 1 and len(str(refusal.value)) < 300
