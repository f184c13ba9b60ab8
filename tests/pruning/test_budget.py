"""Budget: a ramp, a Lagrangian, and nothing else that training needs to remember."""

import pytest

from espnet_prune.pruning import Budget


def budget(target=0.6, **changes):
    return Budget(
        **{"dense_cost": 100, "least_cost": 10, "warmup_steps": 4, **changes}, target=target
    )


def test_ramp_is_linear_then_flat():
    ours = budget()
    targets = []
    for _ in range(6):
        targets.append(float(ours.current_target()))
        ours.advance()
    assert targets == pytest.approx([0.0, 0.15, 0.3, 0.45, 0.6, 0.6])


def test_step_and_multipliers_are_saved():
    ours = budget()
    ours.advance()
    assert set(ours.state_dict()) == {"lambda1", "lambda2", "step"}


@pytest.mark.parametrize("target", [0.0, 0.9, 1.2])
def test_impossible_targets_are_refused(target):
    with pytest.raises(ValueError, match="expected a target sparsity between 0 and 0.900"):
        budget(target)
