"""Error rates of texts, and the table made of them."""

from __future__ import annotations

import json

import pytest
import torch

from espnet_prune.bin import report, score_asr
from espnet_prune.data import DataError
from espnet_prune.encoder import ConfigError
from espnet_prune.pruning import count_macs
from espnet_prune.report import asr_results
from espnet_prune.scoring.wer import AsrScores, read_scores, read_texts, score, write_scores
from tests.encoders import random_encoder, tiny_config


def test_rates_count_every_kind_of_error():
    reference = {"a": "one two three four", "b": "five six", "c": "seven"}
    hypothesis = {"a": "one too three", "b": "five six", "c": "the seven"}
    found = score(reference, hypothesis, intent=False)
    assert (found.utterances, found.words) == (3, 7)
    assert found.wer == pytest.approx(3 / 7)  # a substitution, a deletion, an insertion
    assert found.ser == pytest.approx(2 / 3)
    # two -> too, " four" left out, "the " too much; of 18 + 8 + 5 characters
    assert found.cer == pytest.approx((1 + 5 + 4) / 31)
    assert found.intent_accuracy is None
    assert score(reference, dict.fromkeys(reference, ""), intent=False).wer == 1


def test_the_first_word_is_the_intent_and_no_word_of_the_transcript():
    reference = {"a": "light_on turn it on", "b": "light_off dark", "c": "light_on on"}
    hypothesis = {"a": "light_on turn it off", "b": "light_on dark", "c": ""}
    found = score(reference, hypothesis, intent=True)
    assert found.intent_accuracy == pytest.approx(1 / 3)
    assert (found.words, found.wer) == (5, pytest.approx(2 / 5))


def test_texts_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(DataError, match="2 utterances of one alone, such as b"):
        score({"a": "x", "b": "y"}, {"a": "x", "c": "y"}, intent=False)
    with pytest.raises(DataError, match="expected words"):
        score({"a": ""}, {"a": "x"}, intent=False)
    with pytest.raises(DataError, match="found none; decode first"):
        read_texts(tmp_path / "text")
    (tmp_path / "text").write_text("a x\na y\n")
    with pytest.raises(DataError, match="every utterance once"):
        read_texts(tmp_path / "text")
    (tmp_path / "dev.json").write_text('{"utterances": 3}')
    with pytest.raises(ConfigError, match="wer: expected a value, found none"):
        read_scores(tmp_path / "dev.json")
    (tmp_path / "dev.json").write_text("[" * 100_000)
    with pytest.raises(ConfigError, match="expected a JSON file"):
        read_scores(tmp_path / "dev.json")


def test_the_command_writes_what_it_prints(tmp_path, capsys):
    (tmp_path / "ref").write_text("a one two\nb three\n")
    (tmp_path / "hyp").write_text("b\na one two\n")  # an empty hypothesis, in another order
    score_asr.main([*map(str, (tmp_path / "ref", tmp_path / "hyp")), "--output", f"{tmp_path}/s"])
    assert "33.3" in capsys.readouterr().out
    assert read_scores(tmp_path / "s").wer == pytest.approx(1 / 3)


def test_intervals_are_over_speakers(tmp_path):
    """Of speakers that are all alike they have no width, of utterances they have one."""
    reference = {f"{speaker}{right}": "on now" for speaker in "abcd" for right in "01"}
    hypothesis = {name: "on now" if name[1] == "1" else "off" for name in reference}
    speakers = {name: name[0] for name in reference}
    found = score(reference, hypothesis, True, speakers)
    assert (found.wer, found.intent_accuracy) == (0.5, 0.5)
    assert found.wer_interval == found.intent_interval == (0.5, 0.5)
    low, high = score(reference, hypothesis, True).wer_interval
    assert low < 0.5 < high
    write_scores(found, tmp_path / "test.json")
    assert read_scores(tmp_path / "test.json") == found
    assert score(reference, hypothesis, True, dict.fromkeys(reference, "a")).wer_interval is None
    with pytest.raises(DataError, match="the speaker of each utterance, found none of d1"):
        score(reference, hypothesis, True, {k: v for k, v in speakers.items() if k != "d1"})


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Writes what the stages of a recipe leave of one model."""

    class FakeHistory:
        seconds = 12.34

    monkeypatch.setattr(asr_results, "read_history", lambda path: FakeHistory())

    def write(name, seed, wer):
        encoder = random_encoder(tiny_config(), seed)
        if seed:
            with torch.no_grad():
                encoder.layers[0].feed_forward.fc1.weight.zero_()
        encoder.save_pretrained(tmp_path / name / "encoder")
        write_scores(AsrScores(4, 9, wer, wer / 2, 0.5, 1 - wer), tmp_path / name / "test.json")
        return tmp_path / name, encoder

    return write


def test_the_table_counts_and_compares(model, tmp_path, capsys):
    dense, encoder = model("dense", 0, 0.25)
    pruned, sparse = model("pruned", 1, 0.5)
    command = ["speech", f"dense={dense}", f"small={pruned}", "--sets", "test", "--seed", "3"]
    command += ["--gather", str(dense), "a/dense_train", "--output", str(tmp_path / "R.md")]
    command += ["--gather", str(pruned), "a/dense_train", "a/prune_train"]
    report.main([*command, "--reference_seconds", "2"])
    kept, full = (
        sum(int(p.count_nonzero()) for p in each.parameters()) for each in (sparse, encoder)
    )
    rows = {
        cells[0].strip(): [cell.strip() for cell in cells[1:]]
        for line in capsys.readouterr().out.splitlines()
        if len(cells := line.strip("|").split("|")) == 3
    }
    assert rows["sparsity (%)"] == ["0.00", f"{100 * (1 - kept / full):.2f}"]
    macs = count_macs(encoder.config, 2.0)
    assert rows["MACs of 2 s (G)"] == [f"{macs.total / 1e9:.3f}"] * 2
    assert rows["WER (%), test"] == ["25.00", "50.00"]
    assert rows["intent accuracy (%), test"] == ["75.00", "50.00"]
    assert rows["training (s)"] == ["12", "25"]
    assert "dense_train 12 s, prune_train 12 s" in (tmp_path / "R.md").read_text()
    assert json.loads((pruned / "results.json").read_text())["params"] == kept
    # What has been gathered can be shown again, of the same length only.
    report.main(["speech", f"dense={dense}", f"small={pruned}", "--seed", "3"])
    values = json.loads((dense / "results.json").read_text()) | {"reference_seconds": 10.0}
    (dense / "results.json").write_text(json.dumps(values))
    with pytest.raises(SystemExit, match="MACs of 10 s of every model"):
        report.main(["speech", f"dense={dense}", f"small={pruned}", "--seed", "3"])
