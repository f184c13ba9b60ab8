"""To add a kind of anything takes one file and one entry: here toys from outside the package."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from espnet_prune.encoder import FAMILIES, Family, SSLConfig, SSLEncoder, unit_sizes
from espnet_prune.export import TARGETS, Target, load_exported
from espnet_prune.formats.sources import FOLDERS, LAYOUTS
from espnet_prune.pruning import Pruner, PruningConfig, count_macs
from espnet_prune.pruning.budgets import BUDGETS, Held
from espnet_prune.pruning.config import GATES
from espnet_prune.pruning.cost import Cost
from espnet_prune.pruning.gates import UnitGates
from espnet_prune.pruning.pinched_units import UNITS, PinchedUnits, Unit
from espnet_prune.pruning.schedules import SCHEDULES
from tests.encoders import random_encoder, tiny_config
from tests.formats.parity import identical


def close_all(pruner: Pruner) -> None:
    with torch.no_grad():
        for parameter in pruner.gates.parameters():
            parameter.fill_(1e9)


class FirstUnits(UnitGates):
    """A gate of one number per layer: the share of FFN units that stay, the first ones."""

    units = default_units = ("ffn",)

    def __init__(self, encoder, seconds):
        super().__init__(encoder.config, ("ffn",), seconds)
        self.shares = nn.Parameter(torch.ones(len(encoder.config.layers)))

    @classmethod
    def of(cls, encoder, config):
        return cls(encoder, config.reference_seconds)

    def ranking(self, encoder):
        sizes = unit_sizes(self.config)["ffn"]
        return self._masks([-torch.arange(float(size)) for size in sizes])

    def forward(self, encoder):
        ffn = []
        for share, size in zip(self.shares, unit_sizes(self.config)["ffn"], strict=True):
            soft = (share * size - torch.arange(float(size))).clamp(0, 1)
            ffn.append((soft > 0.5).float() + soft - soft.detach())
        return self._masks(ffn)

    masks = open_probabilities = forward

    def open_values(self, encoder):
        return self._masks([torch.ones(size) for size in unit_sizes(self.config)["ffn"]])

    def _masks(self, ffn):
        from espnet_prune.encoder import Masks

        none = {kind: (None,) * len(sizes) for kind, sizes in unit_sizes(self.config).items()}
        return Masks(**{**none, "ffn": tuple(ffn)})


def test_a_kind_of_gate(monkeypatch):
    monkeypatch.setitem(GATES, "first_units", (FirstUnits,))
    encoder = random_encoder(tiny_config())
    config = PruningConfig(0.1, 0, gate="first_units", reference_seconds=0.05)
    pruner = Pruner(encoder, config)
    with torch.no_grad():
        share = 1 - 0.1 * pruner.budgets["total"].dense_cost / float(
            pruner.gates.costs(encoder).params.ffn
        )
        pruner.gates.shares.fill_(share)
    small = pruner.apply_to(encoder)
    kept = [layer.ffn_kept for layer in small.config.layers if layer.ffn_kept]
    assert kept and all(units == tuple(range(len(units))) for units in kept)


def test_a_unit(monkeypatch):
    unit = Unit("ffn", "layers.{}.feed_forward.fc1.bias", lambda bias, _: bias[:, None])
    monkeypatch.setitem(UNITS, "bias", unit)
    monkeypatch.setattr(PinchedUnits, "units", (*PinchedUnits.units, "bias"))
    encoder = random_encoder(tiny_config())
    config = PruningConfig(0.1, 0, gate="self_pinching", units=("bias",), reference_seconds=0.05)
    masks = Pruner(encoder, config).gates.masks(encoder)
    assert [len(mask) for mask in masks.ffn if mask is not None] == [
        size for size in unit_sizes(encoder.config)["ffn"] if size
    ]


@dataclass(frozen=True)
class Heads(Held):
    """Attention heads, each of which may count for more than one."""

    weight: int = 1

    measure = "heads"
    parts = {"transformer": ("head",)}  # noqa: RUF012

    def count(self, config, seconds, widths=None):
        heads = [len(x.heads) for x in config.layers] if widths is None else [
            layer.heads for layer in widths.layers
        ]  # fmt: skip
        return Cost(0, 0, 0, self.weight * sum(heads), 0, 0)


def test_a_budget(monkeypatch):
    monkeypatch.setitem(BUDGETS, "heads", Heads)
    encoder = random_encoder(tiny_config())
    options = {"units": ("head",), "reference_seconds": 0.05}
    config = PruningConfig({"transformer": 0.5}, 0, budget="heads", **options)
    penalty = Pruner(encoder, config).eval().penalty(encoder)
    assert abs(float(penalty.stats["sparsity"])) < 0.05
    several = {"heads": {"transformer": 0.5}, "params": 0.1}
    conf = {"heads": {"weight": 3}}
    config = PruningConfig(warmup_steps=0, budget=several, budget_conf=conf, **options)
    assert Pruner(encoder, config).limits["heads_transformer"].dense == 27
    with pytest.raises(ValueError, match="expected a budget of .*heads, found 'watts'"):
        PruningConfig(0.5, 0, budget="watts")


def test_a_schedule(monkeypatch):
    monkeypatch.setitem(SCHEDULES, "late", torch.square)
    config = PruningConfig(0.4, 10, schedule="late", gate_lr=0.1, multiplier_lr=0.1, lambda2=0)
    budget = Pruner(random_encoder(tiny_config()), config).budgets["total"]
    budget.step += 5
    assert float(budget.current_target()) == pytest.approx(0.1)


def test_a_family(monkeypatch):
    monkeypatch.setitem(FAMILIES, "toy", Family("Toy"))
    config = SSLConfig.from_dict({**tiny_config("hubert").to_dict(), "family": "toy"})
    encoder = SSLEncoder(config).eval()
    assert encoder(torch.randn(1, 2000)).hidden_states[-1].isfinite().all()
    assert count_macs(config, 0.1).total == count_macs(tiny_config("hubert"), 0.1).total


def test_a_format_of_a_file_and_of_a_folder(monkeypatch, tmp_path):
    encoder = random_encoder(tiny_config())

    def read(path, checkpoint):
        ours = SSLEncoder(SSLConfig.from_dict(json.loads(checkpoint["toy_config"])))
        ours.load_state_dict(checkpoint["toy_weights"], strict=True)
        return ours.eval()

    monkeypatch.setitem(LAYOUTS, ("toy_config", "toy_weights"), read)
    config = json.dumps(encoder.config.to_dict())
    torch.save({"toy_config": config, "toy_weights": encoder.state_dict()}, tmp_path / "toy.pt")
    assert identical(SSLEncoder.from_pretrained(tmp_path / "toy.pt"), encoder)
    monkeypatch.setitem(FOLDERS, "toy.txt", lambda folder: encoder)
    (tmp_path / "toy.txt").touch()
    assert SSLEncoder.from_pretrained(tmp_path) is encoder


def test_an_embedding(monkeypatch):
    pytest.importorskip("pyannote.core")
    from espnet_prune.diarization.embedding import EMBEDDINGS, Embedding, make_embedder

    monkeypatch.setitem(EMBEDDINGS, "toy", Embedding("a toy", lambda place, *_: place))
    assert make_embedder("toy:here", tiny_config()) == "here"


def test_an_export_target(monkeypatch, tmp_path):
    from espnet_prune.bin.export import main

    def write(model, path, output, precision):
        torch.save(model.state_dict(), path)

    def write_folder(model, path, output, precision):
        path.mkdir()
        write(model, path / "toy.pt", output, precision)

    monkeypatch.setitem(TARGETS, ".toy", Target(write, lambda path: torch.load))
    target = Target(write_folder, lambda path: torch.save, last="toy.pt")
    monkeypatch.setitem(TARGETS, "toys", target)
    random_encoder(tiny_config()).save_pretrained(tmp_path / "encoder")
    main([str(tmp_path / "encoder"), str(tmp_path / "model.toy"), "--no-check"])
    assert load_exported(tmp_path / "model.toy") is torch.load
    main([str(tmp_path / "encoder"), str(tmp_path / "toys"), "--target", "toys", "--no-check"])
    assert [each.name for each in (tmp_path / "toys").iterdir()] == ["toy.pt"]
    assert load_exported(tmp_path / "toys", "toys") is torch.save


def test_a_format_of_turns(monkeypatch):
    pytest.importorskip("pyannote.core")
    from espnet_prune.data.turn_formats import TURN_FORMATS, TurnFormat, format_of

    toy = TurnFormat(".toy", "text/toy", lambda recording, turns: f"{recording} {len(turns)}")
    monkeypatch.setitem(TURN_FORMATS, "toy", toy)
    assert format_of("x.toy") == "toy" and TURN_FORMATS["toy"].render("m", []) == "m 0"


def test_a_source_of_audio():
    pytest.importorskip("soundfile")
    from espnet_prune.data.audio import AudioStream, as_source

    class Tape:
        seconds = 1

    as_source.register(Tape, lambda tape: as_source((torch.ones(8000 * tape.seconds), 8000)))
    with AudioStream(Tape()) as audio:
        assert audio.num_samples == 16000


def test_a_recipe(monkeypatch, tmp_path, capsys):
    pytest.importorskip("yaml")
    from espnet_prune.bin import compress, explain
    from espnet_prune.storage import recipes

    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    conf = "{gate: magnitude, target: 0.2, warmup_steps: 0}"
    (tmp_path / "toy.yaml").write_text(f"# A toy.\nrecipe: toy\npruning_conf: {conf}\n")
    explain.main([])
    assert capsys.readouterr().out.split(maxsplit=1) == ["toy", "A toy.\n"]
    compress.main(["whisper_tiny_en", "--recipe", "toy", "--output", str(tmp_path / "small")])
    assert SSLEncoder.from_pretrained(tmp_path / "small").history[0]["recipe"] == "toy"
