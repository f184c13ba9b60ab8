"""The checks of SUPERB's corpora, on trees of their layout."""

from __future__ import annotations

import csv
import json
import os
import re
import runpy
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.egs2.superb_files import write
from tests.egs2.superb_trees import CORPORA, RECIPE, ROOT, audio, fluent_tree, pairs_tree


def check(corpus, folder, overrides=None):
    """Run the check of one corpus."""
    checks = runpy.run_path(str(RECIPE / "local/corpora.py"))["CORPORA"]
    return checks[corpus](folder, overrides or {})


@pytest.fixture
def iemocap_lists(tmp_path):
    for number in range(1, 6):
        items = [{"path": f"Session{number}/sentences/wav/a.wav", "label": "neu"}]
        path = tmp_path / f"lists/Session{number}/test_meta_data.json"
        write(path, [json.dumps({"meta_data": items})])
    return {"downstream_expert.datarc.meta_data": str(tmp_path / "lists")}


def test_every_corpus_of_the_tasks_has_a_check():
    named = set(re.findall(r"{(\w+)}", (RECIPE / "conf/tasks.yaml").read_text()))
    checks = runpy.run_path(str(RECIPE / "local/corpora.py"))["CORPORA"]
    assert set(checks) == named - {"s3prl", "fold"} == set(CORPORA)


@pytest.mark.parametrize("corpus", sorted(set(CORPORA) - {"iemocap", "voxceleb1"}))
def test_a_corpus_that_is_not_there(corpus, tmp_path):
    with pytest.raises(ValueError, match=r"expected .*, found (none|0)") as caught:
        check(corpus, tmp_path / "nowhere")
    assert re.search("download|get |make |writes", str(caught.value))


def test_librispeech_has_every_utterance_of_its_transcripts(tmp_path):
    folder = tmp_path / "train-clean-100/1/2"
    write(folder / "1-2.trans.txt", ["1-2-0000 GO", "1-2-0001 ON"])
    audio(folder / "1-2-0000.flac")
    with pytest.raises(ValueError, match=r"expected .*1-2-0001.flac, found none\n.*openslr.org/12"):
        check("librispeech", tmp_path)
    audio(folder / "1-2-0001.flac")
    with pytest.raises(ValueError, match="expected 28539 utterances, found 2"):
        check("librispeech", tmp_path)


def test_speech_commands(tmp_path):
    train, test = tmp_path / "train", tmp_path / "test"
    write(train / "validation_list.txt", ["yes/a.wav"])
    write(train / "testing_list.txt", ["no/b.wav"])
    for name in ("_background_noise_/hum.wav", "yes/a.wav", "yes/c.wav"):
        audio(train / name)
    with pytest.raises(ValueError, match=r"expected .*no/b.wav, found none"):
        check("speech_commands", train)
    audio(train / "no/b.wav")
    assert check("speech_commands", train) == {"words": 2, "utterances": 3}
    for number in range(12):
        audio(test / f"class{number}/a.wav")
    assert check("speech_commands_test", test) == {"classes": 12, "utterances": 12}


def test_quesst14(tmp_path):
    scoring = tmp_path / "scoring"
    for name in ("score-TWV-Cnxe.sh", "groundtruth_quesst14_dev/x", "groundtruth_quesst14_eval/x"):
        write(scoring / name, [""])
    for name, folder in (("utterances", "Audio"), ("dev", "dev_queries"), ("eval", "eval_queries")):
        lines = [
            f"quesst14Database/{folder}/a.wav nnenglish",
            f"quesst14Database/{folder}/b.wav czech",
        ]
        write(scoring / f"language_key_{name}.lst", lines)
        with pytest.raises(ValueError, match=rf"expected .*{folder}/a.wav, found none"):
            check("quesst14", tmp_path)
        audio(tmp_path / folder / "a.wav")
    assert check("quesst14", tmp_path) == {"utterances": 1, "dev": 1, "eval": 1}


def test_voxceleb1(tmp_path):
    names = write(tmp_path / "names.txt", ["1 id1/x/1.wav", "3 id2/x/1.wav"])
    trials = write(tmp_path / "trials.txt", ["1 id2/x/1.wav id2/x/2.wav"])
    sid = {"downstream_expert.datarc.meta_data": str(names)}
    asv = {"downstream_expert.datarc.test_meta_data": str(trials)}
    audio(tmp_path / "dev/wav/id1/x/1.wav")
    audio(tmp_path / "test/wav/id3/x/1.wav")
    with pytest.raises(ValueError, match=r"expected .*wav/id2/x/1.wav, found none"):
        check("voxceleb1", tmp_path, sid)
    audio(tmp_path / "test/wav/id2/x/1.wav")
    assert check("voxceleb1", tmp_path, sid) == {"utterances": 2}
    with pytest.raises(ValueError, match=r"expected .*test/wav/id2/x/2.wav, found none"):
        check("voxceleb1", tmp_path, asv)
    audio(tmp_path / "test/wav/id2/x/2.wav")
    counts = check("voxceleb1", tmp_path, asv)
    assert counts == {"training speakers": 1, "trials": 1, "test utterances": 2}


def test_iemocap(tmp_path, iemocap_lists):
    for number in range(1, 5):
        audio(tmp_path / f"Session{number}/sentences/wav/a.wav")
    with pytest.raises(ValueError, match=r"expected .*Session5/.*a.wav, found none"):
        check("iemocap", tmp_path, iemocap_lists)
    audio(tmp_path / "Session5/sentences/wav/a.wav")
    assert sum(check("iemocap", tmp_path, iemocap_lists).values()) == 5


def test_snips(tmp_path):
    write(tmp_path / "all.iob.snips.txt", ["Ivy-1 BOS PLAY EOS\tO O O", "Amy-1 BOS GO EOS\tO O O"])
    write(tmp_path / "slots.txt", ["O", "artist"])
    for name, utterance in (("train", "Ivy-1"), ("valid", "Amy-1"), ("test", "Bob-1")):
        audio(tmp_path / name / f"{utterance}.wav")
    with pytest.raises(ValueError, match="test: expected wav files of labelled utterances"):
        check("snips", tmp_path)
    audio(tmp_path / "test/Amy-1.wav")
    assert check("snips", tmp_path) == {"labelled": 2, "train": 1, "valid": 1, "test": 1}


def test_fluent_commands(tmp_path):
    fluent_tree(tmp_path)
    assert check("fluent", tmp_path) == {"train": 4, "valid": 4, "test": 4}
    table = tmp_path / "data/test_data.csv"
    table.write_text(table.read_text().replace("hall", "moon"))
    with pytest.raises(ValueError, match="values of location that train has, found moon"):
        check("fluent", tmp_path)


def test_diarization_data(tmp_path):
    pairs_tree(tmp_path)
    assert check("libri2mix", tmp_path) == {"train": 4, "dev": 2, "test": 2}
    with open(tmp_path / "dev/segments", "a") as file:
        file.write("z dev0 0 1\n")
    with pytest.raises(ValueError, match="expected 2 speakers at most .* dev0"):
        check("libri2mix", tmp_path)


def test_lengths_of_librispeech(tmp_path):
    for seconds, name in ((0.25, "a"), (0.75, "b"), (0.5, "c")):
        audio(tmp_path / f"LibriSpeech/dev-clean/1/2/{name}.flac", seconds)
    script = [sys.executable, RECIPE / "local/asr_lengths.py", tmp_path / "LibriSpeech"]
    command = [*script, tmp_path / "len", "--sets", "dev-clean"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    with open(tmp_path / "len/dev-clean.csv", newline="") as file:
        rows = [(row["file_path"], int(row["length"])) for row in csv.DictReader(file)]
    assert rows == [
        (f"dev-clean/1/2/{n}.flac", s) for n, s in (("b", 12000), ("c", 8000), ("a", 4000))
    ]


def test_a_damaged_recording_is_named(tmp_path):
    path = tmp_path / "dev-clean/1/2/a.flac"
    write(path, ["no FLAC"])
    table = runpy.run_path(str(RECIPE / "local/asr_lengths.py"))["table"]
    with pytest.raises(ValueError, match=f"{path}: expected a FLAC file, found a damaged one"):
        table(tmp_path, "dev-clean")


def test_lists_of_another_form(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(RECIPE / "local")
    check_corpora = runpy.run_path(str(RECIPE / "local/check_data.py"))["check_corpora"]
    write(tmp_path / "train-clean-100/1/2/1-2.trans.txt", ["", "1-2-0000 GO"])
    task = SimpleNamespace(name="ASR", overrides={"path": "{librispeech}"})
    with pytest.raises(ValueError, match="expected librispeech as it is published, found a list"):
        check_corpora({}, {"librispeech": str(tmp_path)}, task)
