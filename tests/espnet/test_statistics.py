"""The error rate of an epoch is its errors over its speech, whatever its batches are."""

from __future__ import annotations

import pytest
import torch
from espnet2.torch_utils.recursive_op import recursive_average
from espnet2.train.reporter import Reporter

from espnet_prune.bin import powerset_train
from espnet_prune.diarization.powerset import FrameErrors
from espnet_prune.espnet.statistics import per_frame, relate_to_speech
from espnet_prune.report.history import read_history
from tests.espnet.test_training import powerset

# Frames, and how many of them are speech, missed, falsely alarmed, confused; the third is silent.
BATCHES = ((400, 900, 90, 10, 30), (100, 50, 5, 40, 5), (400, 0, 0, 200, 0), (50, 40, 0, 3, 2))


def statistics(batch):
    frames, speech, *errors = (torch.tensor(float(value)) for value in batch)
    speech = speech.clamp(min=1)
    stats = per_frame(FrameErrors(*(error / speech for error in errors), speech), frames)
    return {"loss": torch.tensor(0.5), **stats}, frames


def epoch(registered):
    """What ESPnet's reporter makes of the statistics and weights of batches."""
    reporter = Reporter()
    reporter.set_epoch(1)
    with reporter.observe("valid") as sub_reporter:
        relate_to_speech(sub_reporter)
        for stats, weight in registered:
            sub_reporter.register(stats, weight)
            with sub_reporter.measure_time("step_time"):
                pass
            sub_reporter.next()
        assert "der=" in sub_reporter.log_message()
    return reporter.stats[1]["valid"]


def assert_exact(found):
    _, speech, *errors = map(sum, zip(*BATCHES, strict=True))
    for name, error in zip(("miss", "false_alarm", "confusion"), errors, strict=True):
        # A silent batch counts as one frame of speech, so that its errors count at all.
        assert found[name] == pytest.approx(error / (speech + 1), rel=1e-5)
    assert found["der"] == pytest.approx(sum(errors) / (speech + 1), rel=1e-5)
    assert found["loss"] == pytest.approx(0.5) and "speech" not in found


def test_errors_over_speech():
    assert_exact(epoch(map(statistics, BATCHES)))


def test_several_processes():
    pairs = []
    for two in (BATCHES[:2], BATCHES[2:]):
        stats, frames = zip(*map(statistics, two), strict=True)
        stats = {name: torch.stack([each[name] for each in stats]) for name in stats[0]}
        pairs.append(recursive_average(stats, torch.stack(frames)))
    assert_exact(epoch(pairs))


def test_the_rate_does_not_depend_on_the_batches(tmp_path, options, encoder_folder):
    frozen = ["--max_epoch", "1", "--optim", "sgd", "--optim_conf", "lr=0.0", "--ssl_lr", "0.0"]
    found = []
    for size in (1, 10):  # the last window of each recording is silent
        folder = tmp_path / str(size)
        command = options(folder, valid_batch_size=size) + powerset(encoder_folder)
        powerset_train.main(command + frozen)
        found.append(read_history(folder / "checkpoint.pth").epochs[1]["valid"])
    for name in ("der", "miss", "false_alarm", "confusion", "loss"):
        # Two silent batches count as one frame of speech each, of a thousand.
        assert found[0][name] == pytest.approx(found[1][name], rel=0.005, abs=1e-6)
    assert found[0]["false_alarm"] > 0
