"""What can go wrong in a training ends it with one line and status 2, and leaves what was good."""

from __future__ import annotations

import errno
import functools
import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from espnet_prune.bin import distill_train, powerset_train
from espnet_prune.espnet import finite
from espnet_prune.espnet.finite import NotFinite, divergence, watched_gradients
from espnet_prune.espnet.frontend import PrunedSSLFrontend
from espnet_prune.espnet.trainer import ResumableTrainer
from espnet_prune.formats.pickles import REPORTED, load_pickle
from espnet_prune.report.history import read_history
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.files import atomic_file
from tests.espnet.test_training import assert_same, distillation, powerset, weights


@pytest.fixture
def train(options, encoder_folder):
    """Train the powerset model in a folder, with more options."""

    def run(folder, *more, **changes):
        powerset_train.main([*options(folder, **changes), *powerset(encoder_folder), *more])

    return run


@pytest.fixture
def refused(train, capfd):
    """The one line that a training in a folder ends with."""

    def run(folder, *more, **changes):
        with pytest.raises(SystemExit) as exit_info:
            train(folder, *more, **changes)
        assert exit_info.value.code == 2
        output = capfd.readouterr().err
        assert "Traceback" not in output
        return output.strip().splitlines()[-1]

    return run


class Evil:
    """A pickle that makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def file_states(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.pth")}


def test_an_absurd_rate_stops_the_training(tmp_path, train, refused):
    line = refused(tmp_path / "new", "--optim_conf", "lr=1e30", "--ssl_lr", "1e30")
    assert "step" in line and "first bad tensor" in line
    assert not list((tmp_path / "new").glob("*.pth"))


@pytest.mark.parametrize("split, named", [("train", "step 1 of train"), ("valid", "of valid")])
def test_a_loss_that_is_none_stops_either_split(tmp_path, refused, monkeypatch, split, named):
    from espnet_prune.espnet.powerset_task import ESPnetPowersetModel

    forward = ESPnetPowersetModel.forward

    def broken(self, **batch):
        loss, stats, weight = forward(self, **batch)
        if self.training == (split == "train"):
            stats = {**stats, "loss": stats["loss"] * float("nan")}
        return loss, stats, weight

    monkeypatch.setattr(ESPnetPowersetModel, "forward", broken)
    assert named in (line := refused(tmp_path)) and "expected a finite loss, found nan" in line
    assert not list(tmp_path.glob("*.pth"))


def model_and_reporter(value):
    model = torch.nn.ModuleDict({"a": torch.nn.Linear(1, 1), "b": torch.nn.Linear(1, 1)})
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    model["b"].bias.grad.fill_(value)
    return model, SimpleNamespace(epoch=2, count=3, key="train")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_gradients_that_are_none_are_named(value):
    model, reporter = model_and_reporter(value)
    with watched_gradients(reporter, model, None), pytest.raises(NotFinite) as caught:
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    assert "epoch 2, step 3 of train" in str(caught.value)
    assert "gradient b.bias" in str(caught.value)


def test_a_scaler_may_look_for_its_scale():
    model, reporter = model_and_reporter(float("inf"))
    scaler = SimpleNamespace(get_scale=lambda: scale)
    with watched_gradients(reporter, model, scaler):
        scale = 2.0
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        assert not torch.isfinite(norm)
        scale = 1.0
        with pytest.raises(NotFinite):
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)


def test_watched_clipping_is_torchs():
    (ours, reporter), (theirs, _) = model_and_reporter(5.0), model_and_reporter(5.0)
    with watched_gradients(reporter, ours, None):
        norm = torch.nn.utils.clip_grad_norm_(ours.parameters(), max_norm=1.0, norm_type=2.0)
    assert norm == torch.nn.utils.clip_grad_norm_(theirs.parameters(), max_norm=1.0, norm_type=2.0)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


def test_what_an_optimizer_remembers_is_finite_too():
    model, _ = model_and_reporter(1.0)
    optimizer = torch.optim.AdamW(model.parameters())
    optimizer.step()
    finite.require_finite_state("x", model, [optimizer])
    optimizer.state[model["a"].weight]["exp_avg_sq"].fill_(float("inf"))
    with pytest.raises(NotFinite, match=r"exp_avg_sq of a\.weight"):
        finite.require_finite_state("x", model, [optimizer])


def test_damaged_audio_is_named(tmp_path, options, encoder_folder, windows):
    samples, rate = soundfile.read(windows.with_name("a.wav"), dtype="float32")
    samples[3 * rate] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    for name in ("rttm", "windows"):
        (tmp_path / name).write_text(windows.with_name(name).read_text())
    scp = windows.with_name("wav.scp").read_text().replace(f"{windows.parent}/a.", f"{tmp_path}/a.")
    (tmp_path / "wav.scp").write_text(scp)
    for split, workers in (("train", 0), ("valid", 1)):
        command = options(tmp_path / split, num_workers=workers)
        option = command.index(f"--{split}_data_path_and_name_and_type")
        command[option + 1] = f"{tmp_path / 'windows'},speech,window_sound"
        with pytest.raises(SystemExit, match="NaN or infinity in a-0000"):
            powerset_train.main(command + powerset(encoder_folder))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_utterance_without_data_is_named(tmp_path, options, encoder_folder, windows, workers):
    (tmp_path / "shape").write_text(windows.read_text() + "c-0000 a 0.00 2.00\n")
    command = options(tmp_path / "exp", num_workers=workers)
    command[command.index("--train_shape_file") + 1] = str(tmp_path / "shape")
    with pytest.raises(SystemExit, match="expected utterance 'c-0000' of the shape file"):
        powerset_train.main(command + powerset(encoder_folder))


def test_a_divergence_is_told():
    assert divergence([1.0, 0.5], False) is None
    assert "0.5" in divergence([0.5, 1.0], False)
    assert divergence([-1.0, 3.0], True) is None and divergence([-1.0, 30.0], True)
    assert divergence([1e7], False)


def test_a_divergence_reaches_the_terminal(tmp_path, train, monkeypatch):
    terminal = tmp_path / "terminal"
    terminal.write_text("")
    monkeypatch.setenv("PROGRESS_FILE", str(terminal))
    monkeypatch.setattr("espnet_prune.espnet.trainer.divergence", lambda *found: repr(found))
    train(tmp_path / "exp")
    losses = read_history(tmp_path / "exp/checkpoint.pth").curve("valid", "loss")[1]
    assert repr((losses, False)) in terminal.read_text()


@pytest.mark.parametrize("whole", [True, False])
def test_resuming_runs_no_code(tmp_path, train, refused, whole):
    train(tmp_path, max_epoch=1)
    path, evil = tmp_path / "checkpoint.pth", Evil(tmp_path / "evil")
    state = load_pickle(path, also=REPORTED)
    torch.save(evil if whole else {**state, "evil": evil}, path)
    assert "checkpoint.pth" in (line := refused(tmp_path)) and "weights_only" not in line
    assert not evil.path.exists()


def test_averaging_and_initial_weights_run_no_code(tmp_path, train, refused):
    train(tmp_path, keep_nbest_models=2)
    path, evil = tmp_path / "1epoch.pth", Evil(tmp_path / "evil")
    torch.save({**torch.load(path), "evil": evil}, path)
    assert "1epoch.pth" in refused(tmp_path, keep_nbest_models=2)
    assert "1epoch.pth" in refused(tmp_path / "new", "--init_param", str(path))
    assert not evil.path.exists()


CHANGES = [
    (["--batch_size", "5"], "batch_size 5 instead of 4"),
    (["--ssl_lr", "1e-3"], "ssl_lr 0.001 instead of 2e-05"),
    (["--optim_conf", "lr=1e-3"], "optim_conf.lr 0.001 instead of None"),
    (["--optim", "sgd", "--optim_conf", "lr=0.1"], "optim 'sgd' instead of 'adamw'"),
    (["--diarization_conf", "max_speakers=3"], "diarization_conf.max_speakers 3 instead of 2"),
    (["--frontend_conf", "freeze=true"], "frontend_conf.freeze True instead of None"),
    (["--keep_nbest_models", "2"], r"keep_nbest_models [2] instead of [1]"),
    (["--seed", "5"], "seed 5 instead of 1"),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory, windows, encoder_folder):
    """The folder of a training of one epoch."""
    folder = tmp_path_factory.mktemp("running")
    from tests.espnet.conftest import options as fixture

    build = fixture.__wrapped__(windows)
    powerset_train.main(build(folder, max_epoch=1) + powerset(encoder_folder))
    return folder


@pytest.mark.parametrize("more, message", CHANGES)
def test_a_running_training_stays_what_it_is(running, refused, more, message):
    before = file_states(running), (running / "config.yaml").read_bytes()
    assert message in refused(running, *more)
    assert (file_states(running), (running / "config.yaml").read_bytes()) == before


def test_pruning_and_teacher_stay(tmp_path, options, encoder_folder, teacher_folder, capfd):
    task = distillation(encoder_folder, target=0.2, warmup_steps=4)
    distill_train.main(options(tmp_path, labels=False, max_epoch=1) + task)
    for more, message in (
        (["--pruning_conf", "target=0.1"], "pruning_conf.target 0.1 instead of 0.2"),
        (["--pruning_conf", "gate_lr=0.3"], "pruning_conf.gate_lr 0.3 instead of None"),
        (["--pruning_conf", "units=[ffn, conv]"], "pruning_conf.units ['ffn', 'conv'] instead of"),
        (["--teacher", str(teacher_folder)], "teacher "),
        (["--student", str(teacher_folder)], "student "),
    ):
        with pytest.raises(SystemExit, match=r"\S") as exit_info:
            distill_train.main(options(tmp_path, labels=False) + task + more)
        assert exit_info.value.code == 2 and message in str(exit_info.value)


def test_what_does_not_matter_may_change(running, train, windows):
    train(running, max_epoch=2, num_workers=1, log_interval=1, patience=7)
    assert (running / "2epoch.pth").exists()
    train(running, max_epoch=1)  # is past it: nothing to do


def test_surplus_epochs_and_leftovers_go(tmp_path, train):
    train(tmp_path, max_epoch=3)
    kept = {path.name for path in tmp_path.glob("*epoch.pth")}
    best = weights(tmp_path, "valid.loss.ave.pth")
    for epoch in {"1epoch.pth", "2epoch.pth"} - kept:
        (tmp_path / epoch).write_bytes(b"surplus")
    for name in ("checkpoint.pth", "7epoch.pth", "valid.loss.ave_5best.pth"):
        (tmp_path / f".{name}.abcdefgh.tmp").write_bytes(b"left")
    train(tmp_path, max_epoch=3)
    assert {path.name for path in tmp_path.glob("*epoch.pth")} == kept
    assert not list(tmp_path.glob(".*.tmp"))
    assert_same(best, weights(tmp_path, "valid.loss.ave.pth"))


def test_a_killed_worker_ends_it_and_the_same_command_goes_on(
    tmp_path, train, refused, monkeypatch
):
    from espnet_prune.diarization.windows import WindowAudio

    get = WindowAudio.__getitem__

    def die(self, key):
        os.kill(os.getpid(), signal.SIGKILL)

    train(tmp_path / "whole", num_workers=1)
    train(tmp_path / "cut", num_workers=1, max_epoch=1)
    monkeypatch.setattr(WindowAudio, "__getitem__", die)
    line = refused(tmp_path / "cut", num_workers=1)
    assert "worker" in line and "run the same command again" in line
    monkeypatch.setattr(WindowAudio, "__getitem__", get)
    train(tmp_path / "cut", num_workers=1)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


class FullDisk:
    """Stands in for a disk that fills while a checkpoint is written."""

    def __init__(self, monkeypatch, name):
        from espnet_prune.storage import files

        write = files._Output.write

        def full(output, data):
            if self.full and name in str(self.target):
                output.failure = OSError(errno.ENOSPC, "No space left on device")
                raise output.failure
            return write(output, data)

        def watched(path):
            self.target = path
            return atomic_file(path)

        self.full, self.target = True, ""
        monkeypatch.setattr(files._Output, "write", full)
        monkeypatch.setattr("espnet_prune.espnet.compat.atomic_file", watched)


@pytest.mark.parametrize("name", ["checkpoint.pth", "2epoch.pth"])
def test_a_full_disk_ends_it_in_one_line_and_it_resumes(
    tmp_path, train, refused, monkeypatch, name
):
    train(tmp_path / "whole")
    train(tmp_path / "cut", max_epoch=1)
    before = (tmp_path / "cut/1epoch.pth").read_bytes()
    disk = FullDisk(monkeypatch, name)
    line = refused(tmp_path / "cut")
    assert "no space left on the disk" in line and name in line
    assert (tmp_path / "cut/1epoch.pth").read_bytes() == before
    disk.full = False
    train(tmp_path / "cut")
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


def test_a_full_disk_of_logs_is_told_as_well(tmp_path, refused, monkeypatch):
    def full(cls, **_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ResumableTrainer, "validate_one_epoch", classmethod(full))
    line = refused(tmp_path)
    assert "no space left on the disk" in line and str(tmp_path) in line


@pytest.mark.parametrize(
    "more, message",
    [
        (["--ngpu", "99"], "expected --ngpu up to"),
        (["--max_epoch", "-1"], "expected --max_epoch from 1 to"),
        (["--optim_conf", "lrr=0.1"], "optim_conf: unknown key lrr (did you mean 'lr'?)"),
        (["--optim_conf", "lr=fast"], "optim_conf: lr: expected a number, found 'fast'"),
        (["--scheduler", "warmuplr", "--scheduler_conf", "warm=3"], "scheduler_conf: unknown key"),
        (["--frontend_conf", "freeze=7"], "frontend_conf: freeze: expected true or false, found 7"),
        (["--frontend_conf", "modell=x"], "frontend_conf: unknown key modell"),
        (["--frontend_conf", "hop_length=128"], "expected hop_length 320"),
        (["--diarization_conf", "max_speakers=many"], "max_speakers: expected a whole number"),
        (["--diarization_conf", "window=3"], "diarization_conf: unknown key window"),
        (["--use_amp", "true", "--use_tf32", "true"], "expected options and data that ESPnet"),
    ],
)
def test_wrong_options_are_told_in_one_line(tmp_path, refused, more, message):
    assert message in refused(tmp_path, *more)


@pytest.mark.parametrize(
    "conf, message",
    [
        ("layers=7", "distill_conf: layers: expected a list, found 7"),
        ("layers=[9]", "distill_conf: expected layers up to 3"),
        ("l1_weight=x", "distill_conf: l1_weight: expected a number"),
        ("l1=2", "distill_conf: unknown key l1"),
    ],
)
def test_distillation_is_read_by_type(tmp_path, options, encoder_folder, conf, message):
    task = [*distillation(encoder_folder), "--distill_conf", conf]
    with pytest.raises(SystemExit) as exit_info:
        distill_train.main(options(tmp_path, labels=False) + task)
    assert message in str(exit_info.value)


def test_numbers_of_yaml_1_2_are_numbers(options, encoder_folder, tmp_path):
    from espnet_prune.espnet.distillation_task import DistillationTask

    task = distillation(encoder_folder, target=0.5, warmup_steps=1, gate_lr="1e-3")
    args = DistillationTask.get_parser().parse_args(options(tmp_path, labels=False) + task)
    assert DistillationTask.build_model(args).objective.pruner.config.gate_lr == 0.001


def test_short_utterances_have_one_frame(encoder_folder):
    frontend = PrunedSSLFrontend(str(encoder_folder), hop_length=320, win_length=400)
    frontend = frontend.eval().double()
    wavs, lengths = torch.randn(3, 2000, dtype=torch.float64), torch.tensor([2000, 130, 399])
    wavs = wavs * (torch.arange(2000) < lengths[:, None])
    features, frames = frontend(wavs, lengths)
    assert frames.tolist() == [6, 1, 1]
    for row, length in enumerate(lengths.tolist()):
        alone, _ = frontend(wavs[row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(alone[0], features[row, : frames[row]], atol=1e-12, rtol=0)


def test_gates_are_not_left_out_in_silence(encoder_folder):
    plain = PrunedSSLFrontend(str(encoder_folder))
    # ESPnet's own inference says nothing of keys without a place, so that the guard has to.
    load = functools.partial(plain.load_state_dict, strict=False)  # loose, as ESPnet loads
    state = plain.state_dict()
    with pytest.raises(CheckpointError, match="cut it first: espnet-prune apply_pruning"):
        load({**state, "objective.pruner.gates.x": torch.zeros(1)})
    # Rightly silent: projections serve training alone.
    load({**state, "objective.distillation.projections.0.bias": torch.ones(1)})
