"""The student's distance is the one to the teacher, in whatever precision the teacher computes."""

import pytest
import torch

from espnet_prune.distillation import LayerwiseDistillation
from espnet_prune.espnet.distillation_task import ESPnetDistillationModel
from espnet_prune.espnet.optimizers import WarmupLinearDecayLR, parameter_groups
from espnet_prune.pruning import Pruner, PruningConfig
from tests.encoders import random_encoder, tiny_config


@pytest.mark.parametrize(
    "precision, tolerance", [("float32", 1e-5), ("bfloat16", 0.05), ("int8", 0.05)]
)
def test_distance_to_the_teacher(precision, tolerance):
    config = tiny_config()
    student, teacher = random_encoder(config, 1), random_encoder(config, 2)
    distillation = LayerwiseDistillation([0, 3])
    wavs, lengths = torch.randn(2, 2000), torch.tensor([2000, 1500])
    ours, theirs = student(wavs, lengths), teacher(wavs, lengths)
    expected = distillation(ours.hidden_states, theirs.hidden_states, ours.lengths).total
    model = ESPnetDistillationModel(student, teacher, distillation, None, precision).eval()
    loss, _, _ = model(wavs, lengths)
    assert abs(float(loss) - float(expected)) <= tolerance * abs(float(expected))
    loss.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_new_student_is_in_training_and_its_teacher_is_not():
    student, teacher = (random_encoder(tiny_config(), seed) for seed in (1, 2))
    ESPnetDistillationModel(student, teacher, LayerwiseDistillation([0]), None)
    assert student.training and not teacher.training


@torch.no_grad()
def test_a_teacher_that_moves_is_derived_anew():
    config = tiny_config()
    teacher = random_encoder(config, 2)
    distillation = LayerwiseDistillation([0])
    model = ESPnetDistillationModel(random_encoder(config, 1), teacher, distillation, None).eval()
    wavs, lengths = torch.randn(1, 2000), torch.tensor([2000])
    before = model(wavs, lengths)[0]
    for parameter in teacher.parameters():
        parameter.zero_()
    assert not torch.equal(before, model.to(torch.float32)(wavs, lengths)[0])


@torch.no_grad()
def test_an_epoch_on_target_beats_any_other():
    config = tiny_config()
    student, teacher = random_encoder(config, 1), random_encoder(config, 2)
    wavs, lengths = torch.randn(1, 2000), torch.tensor([2000])

    def statistics(shift, step=10):
        """Of a model whose gates are shifted towards open, at a step of a ramp of ten."""
        pruner = Pruner(student, PruningConfig(target=0.3, warmup_steps=10))
        pruner.budgets["total"].step += step
        for gate in pruner.gates.parameters():
            gate += shift
        model = ESPnetDistillationModel(student, teacher, LayerwiseDistillation([0]), pruner)
        _, stats, _ = model.eval()(wavs, lengths)
        return {name: value.item() for name, value in stats.items()}

    runs = sorted(map(statistics, torch.linspace(-7, 0, 141)), key=lambda s: s["sparsity"])
    on = [run for run in runs if abs(run["sparsity"] - 0.3) <= 0.02]
    below = [run["loss_on_target"] for run in runs if run["sparsity"] < 0.28]
    above = [run["loss_on_target"] for run in runs if run["sparsity"] > 0.32]
    assert on and below and above
    assert all(run["loss_on_target"] == run["loss_distill"] for run in on)
    assert max(run["loss_on_target"] for run in on) < min(below + above)
    ramp = [statistics(shift, step)["loss_on_target"] for step in range(10) for shift in (-7, 0)]
    assert min(ramp) > max(below + above)
    assert all(later < earlier for earlier, later in zip(ramp[:-2], ramp[2:], strict=True))


def test_projections_start_as_none_and_learn_with_the_student():
    config = tiny_config()
    student, teacher = random_encoder(config, 1), random_encoder(config, 2)
    wavs, lengths = torch.randn(2, 2000), torch.tensor([2000, 1500])
    groups = [[0], [2, 3]]
    plain = LayerwiseDistillation([0, 2, 3])
    projected = LayerwiseDistillation([0, 2, 3], projection_groups=groups, width=config.embed_dim)
    losses = {}
    for name, distillation in (("plain", plain), ("projected", projected)):
        model = ESPnetDistillationModel(student, teacher, distillation, None).eval()
        losses[name], _, _ = model(wavs, lengths)
    assert torch.equal(losses["plain"], losses["projected"])
    losses["projected"].backward()
    (learners,) = parameter_groups(model)
    identities = set(map(id, learners["params"]))
    assert len(list(projected.parameters())) == 2 * len(groups)
    for parameter in projected.parameters():
        assert id(parameter) in identities and parameter.grad.abs().sum() > 0


def test_gates_are_marked_for_schedules():
    config = tiny_config()
    student, teacher = random_encoder(config, 1), random_encoder(config, 2)
    pruner = Pruner(student, PruningConfig(target=0.3, warmup_steps=10, gate_lr=0.3))
    model = ESPnetDistillationModel(student, teacher, LayerwiseDistillation([0]), pruner)
    optimizer = torch.optim.AdamW(parameter_groups(model), lr=1e-3)
    schedule = WarmupLinearDecayLR(optimizer, 10, 100)
    assert [group["lr"] for group in optimizer.param_groups] == [1e-4, 0.3, 2e-2]
    assert schedule.base_lrs == [1e-3, 0.3, 2e-2]
