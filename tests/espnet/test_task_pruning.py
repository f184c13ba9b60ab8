"""Pruning by the loss of ESPnet's own tasks."""

from __future__ import annotations

import pytest
import torch
from espnet2.fileio.rttm import RttmReader
from espnet2.tasks.asr import ASRTask
from espnet2.tasks.diar import DiarizationTask
from espnet2.tasks.slu import SLUTask
from typeguard import TypeCheckError

from espnet_prune.bin import asr_train, slu_train
from espnet_prune.espnet.optimizers import parameter_groups
from espnet_prune.espnet.pruned_tasks import PrunedASRTask, PrunedDiarizationTask, PrunedSLUTask
from espnet_prune.report.history import read_history
from tests.espnet.conftest import EACH_FAMILY
from tests.espnet.speech_corpus import training_options, write_corpus, write_tokens
from tests.espnet.trainer_options import trainer_options

BATCH = {
    "speech": torch.randn(2, 16000),
    "speech_lengths": torch.tensor([16000, 12000]),
    "text": torch.tensor([[2, 3], [4, -1]]),
    "text_lengths": torch.tensor([2, 1]),
}
GATES = ["--pruning_conf", "{target: 0.3, warmup_steps: 5, gate_lr: 0.1}"]
ENCODER = [
    *("--encoder", "transformer", "--encoder_conf"),
    "{output_size: 8, attention_heads: 2, linear_units: 8, num_blocks: 1, input_layer: linear}",
]
DISTIL = ["--distill_conf", "{layers: [0, 3], projection_groups: [[0]]}"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("speech"))


@pytest.fixture
def command(corpus, tmp_path, encoder_folder):
    """The options of a training called ``name``, with more of them."""
    tokens = write_tokens(tmp_path, "word")

    def build(name, *more):
        return [*training_options(corpus, tmp_path / name, encoder_folder), *tokens, *more]

    return build


@pytest.fixture
def build(command):
    """An ASR model and its arguments."""

    def make(*more):
        args = PrunedASRTask.get_parser().parse_args(command("exp", *more))
        return PrunedASRTask.build_model(args), args

    return make


def weights(folder, name="latest.pth"):
    return torch.load(folder / name, weights_only=True)


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(theirs[name], tensor, rtol=0, atol=0, msg=name)


@EACH_FAMILY
def test_the_penalty_reaches_every_gate_once(build, monkeypatch):
    model, _ = build(*GATES)
    pruner = model.frontend.objective.pruner
    budget = pruner.budgets["total"]
    with torch.no_grad():
        budget.lambda1.fill_(1.0)
    samples, run = [], pruner.gates.run
    monkeypatch.setattr(pruner.gates, "run", lambda *args: samples.append(1) or run(*args))
    model.train()
    loss, stats, _ = model(**BATCH)
    loss.sum().backward()
    assert len(samples) == 1 and int(budget.step) == 1
    assert all(gate.grad.abs().sum() > 0 for gate in pruner.gates.parameters())
    excess = stats["sparsity"] - stats["target_sparsity"]
    assert budget.lambda1.grad == pytest.approx(float(excess), abs=1e-6)
    assert loss.item() == pytest.approx(float(stats["loss"]))
    assert loss.item() == pytest.approx(float(stats["loss_task"]) + float(excess), abs=1e-4)


def test_evaluation_is_deterministic_and_leaves_the_ramp(build):
    model, _ = build(*GATES)
    model.eval()
    first, second = (model(**BATCH)[0].item() for _ in range(2))
    assert first == second
    assert int(model.frontend.objective.pruner.budgets["total"].step) == 0
    model.collect_feats(**BATCH)
    model.encode(BATCH["speech"], BATCH["speech_lengths"])
    assert model(**BATCH)[0].item() == first


@pytest.mark.parametrize(
    "module, more", [(asr_train, []), (asr_train, GATES), (slu_train, [*ENCODER, *GATES])]
)
def test_espnets_own_command_trains_the_same_from_its_config(command, tmp_path, module, more):
    module.main(command("ours", *more))
    theirs = command("theirs")
    lines = [f"{key[2:]}: {value}" for key, value in zip(more[::2], more[1::2], strict=True)]
    if ENCODER[0] not in more:
        lines.append("encoder: null")
    (tmp_path / "theirs.yaml").write_text("\n".join([*lines, "decoder: null"]))
    {asr_train: ASRTask, slu_train: SLUTask}[module].main(cmd=theirs)
    assert_same(weights(tmp_path / "theirs"), weights(tmp_path / "ours"))


def test_espnets_statistics_stage_takes_the_same_config(command, tmp_path):
    ASRTask.main(cmd=command("stats", *GATES, "--collect_stats", "true"))
    assert (tmp_path / "stats/train/feats_lengths_stats.npz").exists()


def test_names_are_espnets_and_those_of_the_objective(build, encoder_folder):
    plain, _ = build()
    pruned, _ = build(*GATES, *DISTIL, "--teacher", str(encoder_folder))
    more = pruned.state_dict().keys() - plain.state_dict().keys()
    assert plain.state_dict().keys() < pruned.state_dict().keys()
    parts = {tuple(name.split(".")[:3]) for name in more}
    assert parts == {("frontend", "objective", part) for part in ("pruner", "distillation")}


def test_groups_learn_at_rates_of_their_own(build):
    model, args = build(*GATES, "--ssl_lr", "1e-5", "--optim_conf", "lr=0.001")
    (optimizer,) = PrunedASRTask.build_optimizers(args, model)
    rates = {group["lr"]: group for group in optimizer.param_groups}
    assert list(rates) == [1e-3, 1e-5, 0.1, 2e-2]
    assert rates[2e-2]["maximize"] and not rates[0.1].get("maximize")
    encoder = {id(parameter) for parameter in model.frontend.ssl_encoder.parameters()}
    assert {id(parameter) for parameter in rates[1e-5]["params"]} == encoder
    grouped = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(map(id, model.parameters()))
    assert [len(parameter_groups(build()[0], rate)) for rate in (None, 0.0, 1e-5)] == [1, 2, 2]


@EACH_FAMILY
def test_distillation_adds_the_distance_to_the_teacher(build, teacher_folder):
    model, _ = build(*DISTIL, "--teacher", str(teacher_folder))
    loss, stats, _ = model.eval()(**BATCH)
    assert stats["loss_distill"] == pytest.approx(float(stats["l1"]) - float(stats["cosine"]))
    expected = float(stats["loss_task"]) + float(stats["loss_distill"])
    assert loss.item() == pytest.approx(expected, rel=1e-5) and "sparsity" not in stats


@EACH_FAMILY
def test_two_epochs_report_and_a_resumed_training_is_the_same(command, tmp_path, teacher_folder):
    # Two batches of four per epoch in steps of one: the ramp is over after ten forward passes.
    task = [*GATES, *DISTIL, "--teacher", str(teacher_folder), "--accum_grad", "2"]
    asr_train.main(command("whole", *task))
    asr_train.main(command("cut", *task, "--max_epoch", "1"))
    asr_train.main(command("cut", *task))
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    state = weights(tmp_path / "cut")
    assert int(state["frontend.objective.pruner.budgets.total.step"]) == 4
    epochs = read_history(tmp_path / "whole/checkpoint.pth").epochs
    for split in ("train", "valid"):
        for statistic in ("sparsity", "expected_params", "expected_macs", "loss_on_target"):
            assert all(statistic in epochs[epoch][split] for epoch in (1, 2))
    targets = [epochs[epoch]["valid"]["target_sparsity"] for epoch in (1, 2)]
    assert targets == pytest.approx([0.3 * 2 / 10, 0.3 * 4 / 10])


@pytest.mark.parametrize(
    "more, message",
    [
        ([*GATES, "--frontend", "default", "--frontend_conf", "{}"], "frontend: pruned_ssl"),
        (DISTIL, "expected distill_conf and teacher together"),
        (["--pruning_conf", "sparsity=0.5"], "sparsity"),
        ([*GATES, "--exclude_weight_decay", "true"], "one optimizer .* found exclude_weight_decay"),
        ([*GATES, "--grad_clip_percentile", "50"], "grad_clip"),
    ],
)
def test_wrong_options_are_explained(command, more, message):
    options = command("exp", *more)
    if "default" in more:
        options.remove(next(word for word in options if word.startswith("model=")))
        options.pop(options.index("--frontend_conf"))
    with pytest.raises(SystemExit, match=message):
        asr_train.main(options)


def slu_model(tokens, encoder_folder):
    command = ["--output_dir", "exp", "--frontend", "pruned_ssl", *GATES, *tokens]
    command += ["--frontend_conf", f"model={encoder_folder}", "--model_conf", "ctc_weight=1.0"]
    command += ENCODER
    args = PrunedSLUTask.get_parser().parse_args(command)
    return PrunedSLUTask.build_model(args), BATCH


EEND = [
    *(*GATES, *ENCODER, "--frontend", "pruned_ssl", "--num_spk", "2"),
    *("--attractor", "rnn", "--attractor_conf", "unit=8"),
    *("--label_aggregator_conf", "{win_length: 400, hop_length: 320}"),
]


def diarization_model(_, encoder_folder):
    command = ["--output_dir", "exp", *EEND, "--frontend_conf", f"model={encoder_folder}"]
    args = PrunedDiarizationTask.get_parser().parse_args(command)
    batch = {name: BATCH[name] for name in ("speech", "speech_lengths")}
    batch["speech_lengths"] = torch.tensor([16000, 16000])
    batch["spk_labels"] = (torch.rand(2, 16000, 2) > 0.5).float()
    batch["spk_labels_lengths"] = batch["speech_lengths"]
    return PrunedDiarizationTask.build_model(args), batch


@EACH_FAMILY
@pytest.mark.parametrize("make", [slu_model, diarization_model])
def test_other_tasks_prune_as_well(make, encoder_folder, tmp_path):
    model, batch = make(write_tokens(tmp_path, "word"), encoder_folder)
    loss, stats, _ = model(**batch)
    loss.sum().backward()
    pruner = model.frontend.objective.pruner
    assert "sparsity" in stats and int(pruner.budgets["total"].step) == 1
    assert any(gate.grad.abs().sum() > 0 for gate in pruner.gates.parameters())


def test_espnets_own_diarization_reads_rttm(corpus, tmp_path, encoder_folder):
    lengths = dict(line.split() for line in (corpus / "utt2num_samples").read_text().splitlines())
    lines = [
        f"SPEAKER {name} 1 0 8000 <NA> <NA> ann <NA>\n"
        f"SPEAKER {name} 1 6000 {samples} <NA> <NA> bob <NA>\n"
        f"END {name} <NA> <NA> {samples} <NA> <NA> <NA> <NA>\n"
        for name, samples in lengths.items()
    ]
    (tmp_path / "rttm").write_text("".join(lines))
    try:
        RttmReader(str(tmp_path / "rttm"))
    except TypeCheckError:
        pytest.skip("this ESPnet's reader of RTTM refuses what it has read itself (espnet#5968)")
    command = trainer_options(output_dir=tmp_path / "exp", frontend_conf=f"model={encoder_folder}")
    for split in ("train", "valid"):
        command += [f"--{split}_shape_file", str(corpus / "utt2num_samples")]
        files = f"{corpus}/wav.scp,speech,sound", f"{tmp_path}/rttm,spk_labels,rttm"
        for file in files:
            command += [f"--{split}_data_path_and_name_and_type", file]
    DiarizationTask.main(cmd=[*command, *EEND])
    statistics = read_history(tmp_path / "exp/checkpoint.pth").epochs[2]["train"]
    assert statistics["sparsity"] > 0 and statistics["loss"] > 0
