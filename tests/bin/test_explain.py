"""explain: recipes listed and shown, a model's history in words, what each of its layers lost."""

from __future__ import annotations

import pytest

from espnet_prune.bin.explain import main
from espnet_prune.encoder import SSLEncoder
from espnet_prune.history import new_step
from espnet_prune.pruning import Pruner, PruningConfig
from espnet_prune.report.lineage import kept_tables, told
from espnet_prune.storage import recipes
from tests.encoders import mini_encoder, random_encoder, tiny_config


def shown(capsys, *words) -> str:
    main([*map(str, words)])
    return capsys.readouterr().out


@pytest.fixture
def pruned(tmp_path):
    """The folder of an encoder that was cut twice, and what was there before."""
    dense = mini_encoder()
    dense.history = (new_step("converted", source="owner/name"),)
    encoder = dense
    for target in (0.2, 0.4):
        config = PruningConfig(target=target, warmup_steps=0, gate="magnitude")
        encoder = Pruner(encoder, config).apply_to(encoder)
    encoder.save_pretrained(tmp_path / "model")
    return tmp_path / "model", dense, encoder


def test_every_recipe_is_listed_with_its_sentence(capsys):
    lines = shown(capsys).splitlines()
    assert [line.split()[0] for line in lines] == recipes.recipe_names()
    assert all(line.endswith(".") and len(line.split()) > 5 for line in lines)


@pytest.mark.parametrize("name", recipes.recipe_names())
def test_a_recipe_is_shown_as_it_is(name, capsys):
    assert shown(capsys, name) == recipes.recipe_path(name).read_text(encoding="utf-8")


def test_a_model_explains_itself(pruned, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    folder, dense, encoder = pruned
    text = shown(capsys, folder, "--output", tmp_path / "kept.png")
    assert "1. converted from owner/name" in text
    assert "3. applied by magnitude gates, closing conv, head, ffn, budget on params" in text
    # What it lost counts from the first model on.
    was, now = (each.config.layers[2] for each in (dense, encoder))
    assert f"{len(now.heads)} / {len(was.heads)}" in text and f"{now.ffn} / {was.ffn}" in text
    assert (tmp_path / "kept.png").read_bytes().startswith(b"\x89PNG")


def test_the_encoder_of_an_espnet_model_is_found(pruned, capsys, tmp_path):
    folder, _, _ = pruned
    folder.rename(tmp_path / "encoder")
    (tmp_path / "config.yaml").write_text("")
    assert "1. converted from owner/name" in shown(capsys, tmp_path)


def test_a_model_without_history_says_so(tmp_path, capsys):
    random_encoder(tiny_config()).save_pretrained(tmp_path)
    text = shown(capsys, tmp_path)
    assert "no history" in text and "only the number of heads is known" in text
    assert "2 / 4" in text and SSLEncoder.from_pretrained(tmp_path).history == ()


def test_bars_are_the_share_that_is_left():
    sizes = {"conv": (4,), "head": (4, 2), "ffn": (10, 0)}
    less = {"conv": (2,), "head": (1, 0), "ffn": (10, 0)}
    text = "\n".join(table.text() for table in kept_tables(sizes, less))
    assert "2 / 4  #####....." in text and "10 / 10  ##########" in text and "0 / 0" in text


def test_facts_of_other_versions_are_shown():
    step = {"step": "folded", "rank": 3, "target": {"front_end": 0.5, "transformer": 2}}
    assert told([step]) == ["1. folded target front_end 50.00 %, transformer 2, rank 3"]


@pytest.mark.parametrize(
    "words, message",
    [
        (["nothing"], "no such file or folder; check the path; or name a recipe: dphubert_sp75"),
        (["hj_mac", "--output", "x.png"], "expected a model to draw, found hj_mac"),
        (["whisper_tiny_en", "--output", "x.txt"], "expected a suffix of png"),
    ],
)
def test_mistakes_are_one_line(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2 and message in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())
