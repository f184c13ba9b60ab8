"""The metrics of SUPERB's tasks, from the predictions that s3prl writes when it evaluates.

s3prl keeps its metrics in a temporary TensorBoard folder that it deletes, and prints them. Its
prediction files stay and are what SUPERB's leaderboard asks for, so metrics come from these, by
s3prl's own functions. One tool of a corpus (QUESST 2014's scorer) prints its result and writes it
nowhere; that line alone is taken from text.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from egs2.superb.s3prl_prune1.local.tasks import Setup, Task, resolved
from espnet_prune.data.rttm import Turn, read_rttm
from espnet_prune.data.tables import DataError
from espnet_prune.scoring.der import score

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
MEDIANS = (1, 11)  # frames
_RATE = 16000  # Hz
_TWV = re.compile(r"actTWV: *(\S+) +maxTWV: *(\S+) +Threshold: *(\S+)")


class Scored(NamedTuple):
    """Metrics by name, fractions but for MTWV, and how they came about."""

    metrics: dict[str, float]
    details: dict[str, Any]


def score_task(task: Task, setup: Setup) -> Scored:
    """Score what the evaluation of a task has left in its folder.

    Raises:
        DataError: a file of the evaluation is missing or damaged.
    """
    return SCORERS[task.score](task, setup)


def accuracy(task: Task, setup: Setup) -> Scored:
    """The share of lines of the prediction file that equal the truth's, averaged over folds."""
    folds = [_accuracy(folder) for folder in evaluated(task, setup)]
    return Scored({task.metrics[0]: fmean(folds)}, {"folds": folds})


def phonemes(task: Task, setup: Setup) -> Scored:
    """Phoneme error rate by s3prl's own function."""
    from s3prl.downstream.ctc.metric import per

    hypotheses, references = _texts(task, setup, f"{task.split}-{{}}.ark")
    return Scored({task.metrics[0]: per(hypotheses, references)}, {"utterances": len(references)})


def words(task: Task, setup: Setup) -> Scored:
    """Word error rate; unlike s3prl's ``wer`` its ASR task counts an empty text as no word."""
    import editdistance

    hypotheses, references = _texts(task, setup, f"{task.split}-noLM-{{}}.ark")
    pairs = zip(hypotheses, references, strict=True)
    errors = sum(editdistance.eval(hyp.split(), ref.split()) for hyp, ref in pairs)
    total = sum(len(ref.split()) for ref in references)
    return Scored({task.metrics[0]: errors / total}, {"utterances": len(references)})


def slots(task: Task, setup: Setup) -> Scored:
    """F1 of slot types and character error rate of slot values, by s3prl's own functions."""
    from s3prl.downstream.ctc.metric import slot_type_f1, slot_value_cer

    texts = _texts(task, setup, f"{task.split}-{{}}.ark")
    values = (slot_type_f1(*texts), slot_value_cer(*texts))
    return Scored(dict(zip(task.metrics, values, strict=True)), {"utterances": len(texts[1])})


def equal_error_rate(task: Task, setup: Setup) -> Scored:
    """The lowest EER of the tested checkpoints, by s3prl's own function.

    s3prl writes the scores in the order of the trials, but not their labels; those are the
    first column of the list of trials.
    """
    from s3prl.downstream.sv_voxceleb1.utils import EER

    trials = Path(resolved(task, setup)["downstream_expert.datarc.test_meta_data"])
    labels = np.array([int(line.split()[0]) for line in _lines(trials)])
    rates = {}
    for folder in evaluated(task, setup):
        scores = [float(line.split()[-1]) for line in _lines(folder / "test_predict.txt")]
        if len(scores) != len(labels):
            raise DataError(
                f"{folder}: expected {len(labels)} scores as in {trials}, found {len(scores)}; "
                "evaluate again"
            )
        rates[folder.name] = float(EER(labels, np.array(scores))[0])
    best = min(rates, key=rates.__getitem__)
    return Scored({task.metrics[0]: rates[best]}, {"chosen on test": best, "checkpoints": rates})


def diarization_error_rate(task: Task, setup: Setup) -> Scored:
    """DER at collar 0, overlap included.

    As SUPERB does, the threshold and the median filter are those with the lowest DER of the test
    set itself; the details have every choice, also the usual one of 0.5 and 11 frames.
    """
    (folder,) = evaluated(task, setup)
    test = Path(resolved(task, setup)["downstream_expert.loaderrc.test_dir"])
    reference = read_rttm(test / "rttm")
    hop = int((folder / "frame_shift").read_text())
    activities = _activities(folder / "scoring" / "predictions")
    missing = reference.keys() - activities.keys()
    if missing:
        raise DataError(
            f"{folder}: expected predictions of {min(missing)} and {len(missing) - 1} more, found "
            "none; evaluate again"
        )
    rates = {}
    for median in MEDIANS:
        for threshold in THRESHOLDS:
            hypothesis = {
                name: turns_of(name, activity, threshold, median, hop)
                for name, activity in activities.items()
            }
            rates[f"threshold {threshold}, median {median}"] = score(
                reference, hypothesis
            ).total.der
    best = min(rates, key=rates.__getitem__)
    return Scored({task.metrics[0]: rates[best]}, {"chosen on test": best, "choices": rates})


def turns_of(
    recording: str, activity: np.ndarray, threshold: float, median: int, hop: int
) -> list[Turn]:
    """Speaker turns of frame-wise activities, as s3prl's ``make_rttm`` makes them.

    Args:
        recording: name of the recording.
        activity: probabilities ``(L, S)`` of each frame and speaker.
        threshold: above which a speaker speaks.
        median: length of the median filter over decisions, in frames, odd.
        hop: samples per frame, at 16 kHz.
    """
    from scipy.signal import medfilt

    decisions = medfilt((activity > threshold).astype(int), (median, 1))
    turns = []
    for speaker, frames in enumerate(decisions.T):
        (changes,) = np.nonzero(np.diff(np.pad(frames, 1)))
        seconds = changes.reshape(-1, 2) * hop / _RATE
        turns += [
            Turn(recording, float(start), float(end - start), f"{recording}_{speaker}")
            for start, end in seconds
        ]
    return turns


def term_weighted_value(task: Task, setup: Setup) -> Scored:
    """Maximum term-weighted value on test, of the layer with the highest on dev.

    The scorer that comes with QUESST 2014 prints its result and writes it nowhere.
    """
    scorer = Path(resolved(task, setup)["downstream_expert.datarc.dataset_root"]) / "scoring"
    layers = sorted(setup.folder.glob("evaluate/layer*"), key=lambda path: int(path.name[5:]))
    if not layers:
        raise DataError(f"expected layers in {setup.folder}/evaluate, found none; evaluate first")
    dev = {path.name: _max_twv(scorer, path / "dev", "groundtruth_quesst14_dev") for path in layers}
    best = max(dev, key=dev.__getitem__)
    found = setup.folder / "evaluate" / best / task.split
    value = _max_twv(scorer, found, "groundtruth_quesst14_eval")
    return Scored({task.metrics[0]: value}, {"chosen on dev": best, "dev": dev})


def evaluated(task: Task, setup: Setup) -> list[Path]:
    """The folders of results of all folds and checkpoints.

    Raises:
        DataError: there is none.
    """
    pattern = f"{'fold*/' if task.folds > 1 else ''}evaluate/*"
    folders = sorted(path for path in setup.folder.glob(pattern) if path.is_dir())
    if len(folders) < task.folds:
        raise DataError(
            f"expected results of {task.folds} evaluation(s) in {setup.folder}, found "
            f"{len(folders)}; evaluate {task.name} first"
        )
    return folders


def _accuracy(folder: Path) -> float:
    """Fluent Speech Commands' files are CSV, IEMOCAP's have the fold in their names."""
    predicted = [path for path in folder.glob("test*_predict.*")]
    if len(predicted) != 1:
        raise DataError(
            f"{folder}: expected one file test*_predict.*, found {len(predicted)}; evaluate again"
        )
    truth = predicted[0].with_name(predicted[0].name.replace("_predict", "_truth"))
    found, expected = _lines(predicted[0]), _lines(truth)
    if not expected or len(found) != len(expected):
        raise DataError(
            f"{truth}: expected as many utterances as in {predicted[0].name} and at least one, "
            f"found {len(expected)} and {len(found)}; evaluate again"
        )
    return fmean(one == other for one, other in zip(found, expected, strict=True))


def _texts(task: Task, setup: Setup, name: str) -> tuple[list[str], list[str]]:
    """Hypotheses and references of all utterances, blanks as they are."""
    (folder,) = evaluated(task, setup)
    keyed = [
        [line.partition(" ")[::2] for line in _lines(folder / name.format(kind))]
        for kind in ("hyp", "ref")
    ]
    hypotheses, references = keyed
    if not references or [key for key, _ in hypotheses] != [key for key, _ in references]:
        raise DataError(
            f"{folder}: expected hypotheses and references of the same utterances; evaluate again"
        )
    return [text for _, text in hypotheses], [text for _, text in references]


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise DataError(f"expected {path}, found none; evaluate first")
    return path.read_text().splitlines()


def _activities(folder: Path) -> dict[str, np.ndarray]:
    """Probabilities ``(L, S)`` of every recording."""
    import h5py

    activities = {}
    for path in sorted(folder.glob("*.h5")):
        with h5py.File(path) as file:
            activities[path.stem] = file["T_hat"][:]
    return activities


def _max_twv(scorer: Path, results: Path, truth: str) -> float:
    command = ["./score-TWV-Cnxe.sh", str(results.resolve()), truth, "-10"]
    # It exits with an error also where it has scored; what it prints decides.
    shown = subprocess.run(command, cwd=scorer, capture_output=True, text=True, check=False).stdout
    found = _TWV.search(shown)
    if not found:
        raise DataError(
            f"{scorer}: expected 'maxTWV: ...' of {' '.join(command)}, found {shown[-200:]!r}; "
            "run it by hand to see why"
        )
    return float(found[2])


SCORERS: Mapping[str, Callable[[Task, Setup], Scored]] = {
    function.__name__: function
    for function in (
        accuracy,
        phonemes,
        words,
        slots,
        equal_error_rate,
        diarization_error_rate,
        term_weighted_value,
    )
}
