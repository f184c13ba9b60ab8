"""One-shot magnitude pruning: on budget, and by size alone."""

import pytest

from espnet_prune.pruning import MagnitudeGates, Pruner, PruningConfig
from espnet_prune.pruning.budgets import count_costs
from espnet_prune.pruning.pinched_units import UNITS
from tests.pruning.training import big_encoder

SECONDS = 0.05


@pytest.mark.parametrize("family", ["wavlm", "whisper"])
@pytest.mark.parametrize(
    "budget, target",
    [("params", 0.3), ("params", 0.6), ("macs", 0.5),
     ("separate", {"front_end": 0.4, "transformer": 0.6})],
)  # fmt: skip
def test_it_is_on_every_budget(family, budget, target):
    encoder = big_encoder(family)
    config = PruningConfig(
        target, 0, gate="magnitude", budget=budget, reference_seconds=SECONDS, tolerance=0.01
    )
    small = Pruner(encoder, config).apply_to(encoder)
    kept = count_costs(small.config, SECONDS)
    for limit in config.limits(encoder.config).values():
        assert abs(limit.sparsity(kept.by(limit.held)) - limit.target) < 0.01


def test_the_smallest_units_of_each_layer_close_and_as_many_in_all():
    encoder = big_encoder()
    limits = PruningConfig(0.6, 0).limits(encoder.config)
    masks = MagnitudeGates(encoder, ("conv", "head", "ffn"), limits).masks(encoder)
    for kind, name in {"conv": "channel", "ffn": "row"}.items():
        shares = set()
        for layer, mask in enumerate(getattr(masks, kind)):
            scores = UNITS[name].scores(encoder, layer, len(mask))
            assert scores[mask == 0].max() < scores[mask > 0].min()
            shares.add(int((mask > 0).sum()))
        assert max(shares) - min(shares) <= 1
    assert all(mask.any() for mask in masks.head)
