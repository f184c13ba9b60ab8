"""Batches of random crops: without padding, the same again under a seed, new in every epoch."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

pytest.importorskip("espnet2")

from espnet2.train.collate_fn import CommonCollateFn
from espnet2.train.distributed_utils import DistributedOption

from espnet_prune.bin import apply_pruning, distill_train
from espnet_prune.encoder import SSLEncoder
from espnet_prune.espnet.distillation_task import DistillationTask, EpochIterFactory, RandomCrops
from espnet_prune.espnet.trainer import ResumableTrainer
from espnet_prune.report.history import read_checkpoint, read_history
from tests.espnet.test_training import Killed, assert_same, weights

SECONDS = (1.0, 1.2, 1.3, 1.5, 1.6, 2.0, 2.1)


@pytest.fixture(scope="module")
def utterances(tmp_path_factory):
    """Utterances of different lengths as `format_speech` leaves them."""
    folder = tmp_path_factory.mktemp("utterances")
    generator = np.random.default_rng(0)
    wavs, lengths = [], []
    for index, seconds in enumerate(SECONDS):
        samples = 0.1 * generator.standard_normal(int(seconds * 16000))
        soundfile.write(folder / f"u{index}.wav", samples, 16000)
        wavs.append(f"u{index} {folder}/u{index}.wav\n")
        lengths.append(f"u{index} {len(samples)}\n")
    (folder / "wav.scp").write_text("".join(wavs))
    (folder / "utt2num_samples").write_text("".join(lengths))
    return folder


@pytest.fixture
def command(utterances, encoder_folder):
    """A training of three epochs on crops, with everything that DPHuBERT's has."""

    def build(output_dir, *extra):
        values = {
            "output_dir": output_dir,
            "student": encoder_folder,
            "teacher": encoder_folder,
            "crop": "true",
            "batch_type": "numel",
            "batch_bins": 60000,
            "max_epoch": 3,
            "num_workers": 0,
            "seed": 5,
            "optim": "adamw",
            "optim_conf": "lr=0.001",
            "scheduler": "warmuplineardecaylr",
            "scheduler_conf": "{warmup_steps: 3, total_steps: 12}",
            "distill_conf": "{layers: [0, 2, 3], projection_groups: [[0], [2, 3]]}",
            "resume": "true",
            "keep_nbest_models": 1,
            "use_tensorboard": "false",
            "use_matplotlib": "false",
            "num_att_plot": 0,
        }
        words = [word for key, value in values.items() for word in (f"--{key}", str(value))]
        words += ["--best_model_criterion", "valid,loss,min"]
        for split in ("train", "valid"):
            option = f"--{split}_data_path_and_name_and_type"
            words += [option, f"{utterances}/wav.scp,speech,sound"]
            words += [f"--{split}_shape_file", f"{utterances}/utt2num_samples"]
        return [*words, *map(str, extra)]

    return build


PRUNE = ["--pruning_conf", "{target: 0.3, warmup_steps: 6, gate_lr: 0.1}"]


def test_crops_are_stretches_of_the_shortest_length():
    data = [(name, {"speech": np.arange(n, dtype=np.float32)}) for name, n in (("a", 9), ("b", 5))]
    crops = RandomCrops(0, CommonCollateFn())
    starts = set()
    for crops.epoch in range(40):
        names, batch = crops(data)
        assert names == ["a", "b"] and batch["speech"].shape == (2, 5)
        assert batch["speech_lengths"].tolist() == [5, 5]
        assert (batch["speech"].diff(dim=1) == 1).all() and batch["speech"][1, 0] == 0
        starts.add(int(batch["speech"][0, 0]))
    assert starts == {0, 1, 2, 3, 4}


def batches(command, output_dir, epoch, *extra):
    """The training batches of an epoch, by their names."""
    args = DistillationTask.get_parser().parse_args(command(output_dir, *extra))
    factory = DistillationTask.build_iter_factory(args, DistributedOption(), "train")
    assert isinstance(factory, EpochIterFactory)
    return {tuple(names): batch["speech"] for names, batch in factory.build_iter(epoch)}


def test_seed_and_epoch_decide(tmp_path, command):
    first = batches(command, tmp_path, 1)
    assert len(first) > 1 and sorted(u for names in first for u in names) == [
        f"u{index}" for index in range(len(SECONDS))
    ]
    for again in (batches(command, tmp_path, 1), batches(command, tmp_path, 1, "--num_workers", 2)):
        assert first.keys() == again.keys()
        assert all(torch.equal(first[names], again[names]) for names in first)
    for other in (batches(command, tmp_path, 2), batches(command, tmp_path, 1, "--seed", 6)):
        assert first.keys() == other.keys()
        assert any(not torch.equal(first[names], other[names]) for names in first)


def test_validation_hears_everything(tmp_path, command):
    args = DistillationTask.get_parser().parse_args(command(tmp_path))
    assert isinstance(DistillationTask.build_collate_fn(args, train=False), CommonCollateFn)
    args = DistillationTask.get_parser().parse_args(command(tmp_path, "--crop", "false"))
    assert isinstance(DistillationTask.build_collate_fn(args, train=True), CommonCollateFn)


def test_resumed_equals_uninterrupted(tmp_path, command, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    distill_train.main(command(whole, *PRUNE))
    train = ResumableTrainer.train_one_epoch.__func__

    def die_in_epoch(cls, **kwargs):
        if kwargs["reporter"].epoch == 2:
            raise Killed
        return train(cls, **kwargs)

    monkeypatch.setattr(ResumableTrainer, "train_one_epoch", classmethod(die_in_epoch))
    with pytest.raises(Killed):
        distill_train.main(command(cut, *PRUNE))
    monkeypatch.undo()
    distill_train.main(command(cut, *PRUNE))
    assert_same(weights(whole), weights(cut))
    for key in ("optimizers", "schedulers"):
        ours, theirs = (read_checkpoint(f / "checkpoint.pth")[key] for f in (whole, cut))
        assert str(ours) == str(theirs)


def test_two_stages(tmp_path, command, encoder_folder, capsys):
    """Prune on crops, cut, distil further: projections learn and are in no exported encoder."""
    fast = ["--pruning_conf", "{target: 0.3, warmup_steps: 60, gate_lr: 0.2, lambda2: 300.0}"]
    fast += ["--scheduler_conf", "{warmup_steps: 50, total_steps: 401}"]
    fast += ["--num_iters_per_epoch", 40, "--max_epoch", 10]  # an epoch's end takes its time
    distill_train.main(command(tmp_path / "prune", *fast))
    dense = SSLEncoder.from_pretrained(encoder_folder)
    total = sum(p.numel() for p in dense.parameters())
    apply = [str(tmp_path / "prune/latest.pth"), "--output", str(tmp_path / "applied")]
    apply_pruning.main(apply)
    small = SSLEncoder.from_pretrained(tmp_path / "applied")
    kept = sum(p.numel() for p in small.parameters())
    assert abs(1 - kept / total - 0.3) <= 0.005
    assert f"{total} -> {kept} parameters" in capsys.readouterr().out

    apply_pruning.main([*apply[:2], str(tmp_path / "rounded"), "--round_to", "4"])
    rounded = SSLEncoder.from_pretrained(tmp_path / "rounded")
    cost = sum(p.numel() for p in rounded.parameters()) - kept
    assert f"multiples of 4: {cost:+d} parameters" in capsys.readouterr().out
    widths = [c.channels for c in rounded.config.conv_layers]
    widths += [layer.ffn for layer in rounded.config.layers]
    assert all(width % 4 == 0 for width in widths)
    with pytest.raises(SystemExit):
        apply_pruning.main([*apply, "--round_to", "0"])

    further = ["--student", tmp_path / "applied", "--teacher", encoder_folder]
    distill_train.main(command(tmp_path / "distill", *further, "--max_epoch", 4))
    state = weights(tmp_path / "distill")
    projections = {k: v for k, v in state.items() if k.startswith("objective.distillation.")}
    assert len(projections) == 4
    learned = projections["objective.distillation.projections.0.weight"]
    assert not torch.equal(learned, torch.eye(len(learned)))
    losses = read_history(tmp_path / "distill/checkpoint.pth").curve("valid", "loss")[1]
    assert losses[-1] < losses[0]
    apply_pruning.main([f"{tmp_path}/distill/latest.pth", "--output", f"{tmp_path}/final"])
    final = SSLEncoder.from_pretrained(tmp_path / "final").state_dict()
    assert {f"student.{name}" for name in final} == state.keys() - projections.keys()
