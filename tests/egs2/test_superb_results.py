"""The table of SUPERB: what is published is the paper's, what is measured is told apart."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import yaml

from egs2.superb.s3prl_prune1.local import make_table
from egs2.superb.s3prl_prune1.local.results import (
    RESULT,
    TaskResult,
    measured,
    read_published,
    read_results,
    render,
)
from espnet_prune.data.tables import DataError
from espnet_prune.encoder import ConfigError

PUBLISHED = Path(__file__).parents[2] / "egs2/superb/s3prl_prune1/conf/published.yaml"
# A second transcription of the paper's table, in the paper's order, SF as F1 and CER.
TABLE_1 = """
FBANK 0 41.38 9.65 82.01 23.18 48.24 .0058 69.64 52.94 20.06 9.56 10.05
wav2vec2Base 95.04 96.23 92.35 5.74 6.43 63.43 .0233 88.30 24.77 75.18 6.02 6.08
HuBERTBase 94.68 96.30 98.34 5.41 6.42 64.92 .0736 88.53 25.20 81.42 5.11 5.88
WavLMBase+ 94.70 97.37 99.00 3.92 5.59 68.65 .0988 90.58 21.20 89.42 4.07 3.50
DistilHuBERT 23.49 95.98 94.99 16.27 13.37 63.02 .0511 82.57 35.59 73.54 8.55 6.19
DPHuBERT 23.59 96.36 97.92 9.67 10.47 63.16 .0693 86.86 28.26 76.83 5.84 5.92
DPWavLM 23.59 96.27 98.58 8.22 10.19 65.24 .0874 87.68 26.11 82.11 5.98 5.53
DPHuBERT-100h 23.57 96.36 97.42 10.02 11.38 62.78 .0634 84.83 33.03 73.37 6.25 6.03
"""


def result(folder: Path, task: str, params=23_590_000, **metrics: float) -> TaskResult:
    """Write the result of a task and return it."""
    details = {"chosen on dev": "layer9"} if task == "qbe" else {"utterances": 7}
    rate = None if task == "qbe" else 1e-4
    made = TaskResult(task, "pruned", params, rate, 1337, "0.4.18", metrics, details)
    (folder / task).mkdir(parents=True)
    (folder / task / RESULT).write_text(made.to_json())
    return made


def test_published_numbers_are_the_papers():
    published = read_published(PUBLISHED)
    rows = [line.split() for line in TABLE_1.split("\n") if line]
    assert [list(model.values.values()) for model in published.models] == [
        [float(value) for value in row[1:]] for row in rows
    ]
    columns = "params,KS,IC,PER,WER,ER,MTWV,SF F1,SF CER,SID,EER,DER"
    assert ",".join(published.columns) == columns
    assert "DPHuBERT" in published.source and all(model.published for model in published.models)


def test_a_published_row_that_lacks_a_value(tmp_path):
    table = yaml.safe_load(PUBLISHED.read_text())
    table["models"]["DPHuBERT"].pop()
    (tmp_path / "table.yaml").write_text(yaml.safe_dump(table))
    with pytest.raises(DataError, match="DPHuBERT: expected 12 values, found 11"):
        read_published(tmp_path / "table.yaml")


def test_results_are_read_as_they_were_written(tmp_path):
    written = [result(tmp_path, "asr", WER=0.1), result(tmp_path, "qbe", MTWV=0.07)]
    assert read_results(tmp_path) == written
    assert measured(tmp_path).values == {"params": 23.59, "WER": 10, "MTWV": 0.07}


def test_ours_stand_below_the_published_and_are_marked(tmp_path):
    folder = tmp_path / "s75"
    result(folder, "asr", WER=0.10471)
    result(folder, "qbe", MTWV=0.0693)
    text = render([folder], read_published(PUBLISHED))
    table = [line.split("|") for line in text.splitlines() if line.startswith("|")]
    header = [cell.strip() for cell in table[0]]
    rows = {
        row[1].strip(): dict(zip(header, map(str.strip, row), strict=True)) for row in table[:11]
    }
    assert rows["DPWavLM"]["WER"] == "10.19" and rows["DPWavLM"]["params (M)"] == "23.59"
    assert rows["s75"]["WER"] == "10.47" and rows["s75"]["MTWV"] == "0.0693"
    assert rows["s75"]["KS"] == "" and rows["FBANK"]["MTWV"] == "0.0058"
    marks = [line for line in text.splitlines() if "| measured" in line]
    assert len(marks) == 1 and "s75" in marks[0]
    assert "Published: Table 1 of DPHuBERT" in text
    assert "chosen on dev: layer9" in text and "utterances" not in text


def test_without_published_rows_only_filled_columns_are_shown(tmp_path):
    result(tmp_path / "dense", "ic", IC=0.9)
    result(tmp_path / "pruned", "ic", params=100_000, IC=0.8)
    text = render([tmp_path / "dense", tmp_path / "pruned"])
    assert "| model  |          | params (M) |    IC |" in text
    assert "WER" not in text and "Published" not in text


def test_results_of_two_encoders_in_one_folder(tmp_path):
    result(tmp_path, "asr", WER=0.1)
    result(tmp_path, "ic", params=5, IC=0.1)
    with pytest.raises(DataError, match="expected results of one encoder, found 2 of 2"):
        read_results(tmp_path)


def test_no_result_and_a_damaged_one(tmp_path):
    with pytest.raises(DataError, match="found 0 of 0; score a task first"):
        read_results(tmp_path)
    (tmp_path / "ic").mkdir()
    (tmp_path / "ic" / RESULT).write_text("{}")
    with pytest.raises(ConfigError, match="result.json: task: expected a value, found none"):
        read_results(tmp_path)


def test_a_metric_that_is_no_number_is_shown(tmp_path):
    made = result(tmp_path / "s75", "sd", DER=math.nan)
    assert "NaN" not in made.to_json()
    assert "nan" in render([tmp_path / "s75"])


def test_the_command_writes_both_files(tmp_path, capsys):
    made = result(tmp_path / "s75", "sd", DER=0.0553)
    make_table.main([str(tmp_path / "s75"), "--output", str(tmp_path)])
    assert "5.53" in (tmp_path / "RESULTS.md").read_text() == capsys.readouterr().out[:-1]
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["models"]["s75"]["sd"] == json.loads(made.to_json())
    with pytest.raises(SystemExit, match="make_table: .*expected results"):
        make_table.main([str(tmp_path / "none"), "--output", str(tmp_path)])
