"""A folder keeps a model's history beside its config, and nothing of the maker's machine."""

from __future__ import annotations

import json
import subprocess

import pytest

from espnet_prune.encoder import SSLEncoder
from espnet_prune.history import new_step, public_name
from espnet_prune.pruning import Pruner, PruningConfig
from espnet_prune.storage import CheckpointError
from tests.encoders import mini_encoder, random_encoder, tiny_config
from tests.formats.parity import identical

STEP = {"step": "converted", "source": "owner/name", "seed": 3}


def rewritten(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("sparse", [False, True])
def test_it_is_kept_and_is_no_part_of_the_encoder(tmp_path, sparse):
    encoder = random_encoder(tiny_config())
    encoder.save_pretrained(tmp_path / "old", sparse)
    assert "history" not in json.loads((tmp_path / "old/config.json").read_text())
    encoder.history = (STEP,)
    encoder.save_pretrained(tmp_path / "new", sparse)
    old, new = (SSLEncoder.from_pretrained(tmp_path / name) for name in ("old", "new"))
    assert (old.history, new.history) == ((), (STEP,))
    assert identical(old, new) and old.config == new.config
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("old", "new")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("wrong", [3, {"step": "x"}, [3], [{}], [{"step": 1}], "x", None])
def test_what_is_no_history_is_refused(tmp_path, wrong):
    random_encoder(tiny_config()).save_pretrained(tmp_path)
    rewritten(tmp_path, history=wrong)
    with pytest.raises(CheckpointError, match="config.json: expected history, a list of mappings"):
        SSLEncoder.from_pretrained(tmp_path)
    rewritten(tmp_path, history=[], histories=[])
    with pytest.raises(CheckpointError, match="histories"):
        SSLEncoder.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "conf",
    [{"gate": "magnitude", "budget": "separate", "target": {"front_end": 0.3, "transformer": 0.4}},
     {"gate": "magnitude", "target": 0.3, "round": 2}],
)  # fmt: skip
def test_a_cut_adds_what_was_asked_and_what_came_of_it(conf):
    encoder, round_to = mini_encoder(), conf.pop("round", 1)
    encoder.history = (STEP,)
    pruner = Pruner(encoder, PruningConfig(warmup_steps=0, **conf))
    first, cut = pruner.apply_to(encoder, round_to).history
    assert first == STEP and json.loads(json.dumps(cut)) == cut
    assert cut["target"] == conf["target"] and cut.get("round_to", 1) == round_to
    assert cut["ffn"] == [layer.ffn for layer in encoder.config.layers]
    assert cut["reached"] == pytest.approx(conf["target"], abs=0.01)
    assert encoder.history == (STEP,)


@pytest.mark.parametrize(
    "given, public",
    [
        ("/home/someone/exp/dense", "dense"),
        ("file:///home/someone/dense", "dense"),
        ("exp/dense", "exp/dense"),
        ("owner/name@v1", "owner/name@v1"),
        ("torchaudio:HUBERT_BASE", "torchaudio:HUBERT_BASE"),
        ("https://me:key@host.org/a/b.pt?token=c", "https://host.org/a/b.pt"),
        (None, None),
    ],
)
def test_names_tell_nothing_of_the_machine(given, public):
    assert public_name(given) == public


def test_a_step_without_git(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(OSError()))
    step = new_step("trained", seed=0, recipe=None)
    assert step["seed"] == 0 and not {"recipe", "commit"} & step.keys()
