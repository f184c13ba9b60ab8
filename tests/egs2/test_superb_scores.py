"""Metrics of files in s3prl's formats equal what s3prl itself reports for such predictions."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from egs2.superb.s3prl_prune1.local.scores import score_task, turns_of
from espnet_prune.data.rttm import Turn, write_rttm
from espnet_prune.data.tables import DataError
from tests.egs2.superb_files import setup, task, write

RNG = np.random.default_rng(0)


def test_accuracy_of_intents_needs_all_three_slots(tmp_path):
    folder = tmp_path / "evaluate/dev-best"
    write(folder / "test_truth.csv", ["a,on,lamp,none", "b,off,lamp,none", "c,on,fan,hall"])
    write(folder / "test_predict.csv", ["a,on,lamp,none", "b,off,lamp,hall", "c,on,fan,hall"])
    scored = score_task(task(), setup(tmp_path))
    assert scored.metrics == {"IC": pytest.approx(2 / 3)}


def test_accuracy_is_the_mean_of_five_folds(tmp_path):
    for fold, right in enumerate([4, 3, 2, 1, 0], start=1):
        folder = tmp_path / f"fold{fold}/evaluate/dev-best"
        write(folder / f"test_fold{fold}_truth.txt", ["u neu"] * 4)
        found = ["u neu"] * right + ["u sad"] * (4 - right)
        write(folder / f"test_fold{fold}_predict.txt", found)
    emotion = task(folds=5, metrics=["ER"])
    assert score_task(emotion, setup(tmp_path)).metrics == {"ER": 0.5}
    (tmp_path / "fold5/evaluate/dev-best").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"expected results of 5 evaluation.*found 4"):
        score_task(emotion, setup(tmp_path))


def test_a_file_of_predictions_that_is_cut_short(tmp_path):
    folder = tmp_path / "evaluate/dev-best"
    write(folder / "test_truth.txt", ["a yes", "b no"])
    write(folder / "test_predict.txt", ["a yes"])
    with pytest.raises(DataError, match="as many utterances"):
        score_task(task(), setup(tmp_path))


def test_phonemes_as_s3prl_counts_them(tmp_path):
    pytest.importorskip("s3prl")
    folder = tmp_path / "evaluate/dev-best"
    write(folder / "test-ref.ark", ["u1 AH B K", "u2 D"])
    write(folder / "test-hyp.ark", ["u1 AH K", "u2 "])
    recognition = task(score="phonemes", metrics=["PER"])
    # A deletion, and an empty text, which s3prl takes for one wrong phoneme.
    assert score_task(recognition, setup(tmp_path)).metrics == {"PER": 2 / 4}


def test_words(tmp_path):
    pytest.importorskip("editdistance")
    folder = tmp_path / "evaluate/dev-clean-best"
    write(folder / "test-clean-noLM-ref.ark", ["u1 GO ON", "u2 STOP IT NOW"])
    write(folder / "test-clean-noLM-hyp.ark", ["u1 GO", "u2 "])
    speech = task(score="words", metrics=["WER"], split="test-clean")
    assert score_task(speech, setup(tmp_path)).metrics == {"WER": 4 / 5}


def test_slots(tmp_path):
    pytest.importorskip("s3prl")
    folder = tmp_path / "evaluate/dev-best"
    write(folder / "test-ref.ark", ["u1 FLY TO B-city OSLO E-city B-day TODAY E-day"])
    write(folder / "test-hyp.ark", ["u1 FLY TO B-city OSLA E-city"])
    filling = task(score="slots", metrics=["SF F1", "SF CER"])
    metrics = score_task(filling, setup(tmp_path)).metrics
    assert metrics["SF F1"] == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert metrics["SF CER"] == pytest.approx((1 + 5) / (4 + 5))


def test_texts_of_different_utterances(tmp_path):
    pytest.importorskip("s3prl")
    write(tmp_path / "evaluate/dev-best/test-ref.ark", ["u1 A", "u2 B"])
    write(tmp_path / "evaluate/dev-best/test-hyp.ark", ["u1 A"])
    with pytest.raises(DataError, match="of the same utterances"):
        score_task(task(score="phonemes", metrics=["PER"]), setup(tmp_path))


def test_the_best_checkpoint_of_speaker_verification(tmp_path):
    pytest.importorskip("s3prl")
    trials = write(tmp_path / "trials.txt", [f"{n % 2} a{n}.wav b{n}.wav" for n in range(20)])
    scores = {"states-20000": RNG.normal(size=20), "states-40000": np.arange(20) % 2 + 0.0}
    for name, values in scores.items():
        lines = [f"a{n}_b{n} {value}" for n, value in enumerate(values)]
        write(tmp_path / "asv/evaluate" / name / "test_predict.txt", lines)
    overrides = {"downstream_expert.datarc.test_meta_data": str(trials)}
    verification = task(score="equal_error_rate", metrics=["EER"], overrides=overrides)
    scored = score_task(verification, setup(tmp_path / "asv"))
    assert scored.metrics["EER"] == pytest.approx(0, abs=1e-6)
    assert scored.details["chosen on test"] == "states-40000"
    assert scored.details["checkpoints"]["states-20000"] > 0.2
    write(trials, ["1 a b"])
    with pytest.raises(DataError, match="expected 1 scores as in .*found 20"):
        score_task(verification, setup(tmp_path / "asv"))


def write_activities(folder, activities):
    h5py = pytest.importorskip("h5py")
    folder.mkdir(parents=True)
    for name, values in activities.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("T_hat", data=values)


def test_diarization(tmp_path):
    truth = np.zeros((100, 2), np.float32)
    truth[10:60, 0] = truth[50:90, 1] = 1
    sure = 0.62 * truth + 0.05  # 0.67 where somebody speaks: missed by a threshold of 0.7
    results = tmp_path / "sd/evaluate/best-states-dev"
    write_activities(results / "scoring/predictions", {"m1": sure})
    write(results / "frame_shift", ["320"])
    turns = [Turn("m1", 0.2, 1.0, "x"), Turn("m1", 1.0, 0.8, "y")]
    (tmp_path / "test").mkdir()
    write_rttm(tmp_path / "test/rttm", {"m1": turns})
    overrides = {"downstream_expert.loaderrc.test_dir": str(tmp_path / "test")}
    diarization = task(score="diarization_error_rate", metrics=["DER"], overrides=overrides)
    metrics, details = score_task(diarization, setup(tmp_path / "sd"))
    assert metrics["DER"] == pytest.approx(0, abs=1e-6)
    assert details["chosen on test"] == "threshold 0.3, median 1"
    assert len(details["choices"]) == 10
    assert details["choices"]["threshold 0.7, median 11"] == pytest.approx(1)
    write_rttm(tmp_path / "test/rttm", {"m1": turns, "m2": [Turn("m2", 0.0, 1.0, "x")]})
    with pytest.raises(DataError, match="expected predictions of m2 and 0 more, found none"):
        score_task(diarization, setup(tmp_path / "sd"))


@pytest.mark.parametrize("threshold, median", [(0.5, 1), (0.4, 11)])
def test_turns_are_those_of_s3prl(tmp_path, threshold, median):
    pytest.importorskip("s3prl")
    smooth = np.convolve(RNG.normal(size=600), np.ones(9) / 3, "same").reshape(300, 2)
    activity = 1 / (1 + np.exp(-smooth))
    write_activities(tmp_path / "predictions", {"m1": activity})
    files = write(tmp_path / "files", [str(tmp_path / "predictions/m1.h5")])
    options = ("--threshold", str(threshold), "--median", str(median), "--frame_shift", "320")
    maker = [sys.executable, "-m", "s3prl.downstream.diarization.make_rttm", *options]
    subprocess.run([*maker, str(files), str(tmp_path / "rttm")], check=True)
    theirs = [line.split() for line in (tmp_path / "rttm").read_text().splitlines()]
    ours = turns_of("m1", activity, threshold, median, 320)
    assert len(ours) == len(theirs) > 5
    for turn, fields in zip(ours, theirs, strict=True):
        assert (turn.recording, turn.speaker) == (fields[1], fields[7])
        assert (turn.start, turn.duration) == pytest.approx(tuple(map(float, fields[3:5])))


SCORER = """#!/usr/bin/env bash
case $2 in
    groundtruth_quesst14_dev) value=$(cat "$1/value") ;;
    groundtruth_quesst14_eval) value=$(cat "$1/value") ;;
    *) exit 2 ;;
esac
echo "actCnxe: 1.0 minCnxe: 0.9"
echo "actTWV: -0.1 maxTWV: $value  Threshold: 2.345"
exit 1
"""


def test_query_by_example_tests_the_layer_that_is_best_on_dev(tmp_path):
    scorer = write(tmp_path / "quesst14/scoring/score-TWV-Cnxe.sh", SCORER.splitlines())
    scorer.chmod(0o755)
    values = {"layer2": (0.05, 0.04), "layer10": (0.09, 0.08), "layer11": (0.01, 0.2)}
    for layer, (dev, test) in values.items():
        write(tmp_path / "qbe/evaluate" / layer / "dev/value", [str(dev)])
        write(tmp_path / "qbe/evaluate" / layer / "test/value", [str(test)])
    overrides = {"downstream_expert.datarc.dataset_root": str(tmp_path / "quesst14")}
    query = task(lr=None, score="term_weighted_value", metrics=["MTWV"], overrides=overrides)
    metrics, details = score_task(query, setup(tmp_path / "qbe"))
    assert metrics == {"MTWV": 0.08} and details["chosen on dev"] == "layer10"
    write(scorer, ["#!/bin/sh", "echo no java"])
    with pytest.raises(DataError, match="expected 'maxTWV.*no java"):
        score_task(query, setup(tmp_path / "qbe"))
