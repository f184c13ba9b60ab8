"""The measured table: what it holds, and that a cut encoder is held to it."""

import pytest

from espnet_prune.encoder import SSLEncoder
from espnet_prune.inference import latency
from espnet_prune.inference.latency import measure_ms, measure_table, require_on_time
from espnet_prune.pruning import BudgetMissed
from espnet_prune.pruning.budgets import Limit
from espnet_prune.pruning.budgets.latency import Latency
from espnet_prune.pruning.cost import built_widths
from tests.encoders import mini_config, random_encoder, tiny_config

SECONDS = 0.1


@pytest.mark.parametrize(
    "family, size", [("wavlm", "base"), ("wavlm", "large"), ("whisper", "own")]
)
def test_a_table_covers_the_encoder(family, size):
    config = tiny_config(family, size)
    table = measure_table(config, SECONDS, "float32", 1, "cpu", rounds=1)
    assert len(table.conv) == len(config.conv_layers) and table.is_ours
    for conv, shape in zip(table.conv, config.conv_layers, strict=True):
        assert min(conv.widths) == 1 and max(conv.widths) >= shape.channels
    assert table.attention.widths == (0, 1, 2, 3, 4)
    assert table.ffn.widths[0] == 0 and table.ffn.widths[-1] == 12
    assert table.cost(config, built_widths(config)).total > 0


@pytest.fixture
def limit(tmp_path):
    config = tiny_config("whisper")
    table = measure_table(config, SECONDS, "float32", 1, "cpu", rounds=1)
    (tmp_path / "table.json").write_text(table.json())
    held = Latency(str(tmp_path / "table.json"))
    return Limit(held, "total", dense=10.0, target=0.5, at_most=False)


@pytest.mark.parametrize("at_most", [False, True])
@pytest.mark.parametrize(
    "measured, fits", [(5.2, (True, True)), (4.0, (False, True)), (6.0, (False, False))]
)
def test_off_time_is_a_missed_budget_that_says_why(monkeypatch, limit, at_most, measured, fits):
    calls = []
    monkeypatch.setattr(latency, "measure_ms", lambda *_: calls.append(0) or (measured, 7.0))
    limits = {"latency": limit._replace(at_most=at_most)}
    encoder = random_encoder(tiny_config("whisper"))
    if fits[at_most]:
        (line,) = require_on_time(limits, encoder)
        assert line.startswith(f"{measured:g} ms measured (7 ms with") and len(calls) == 1
    else:
        with pytest.raises(BudgetMissed, match=f"expected 5 ms within 5%, found {measured:g} ms"):
            require_on_time(limits, encoder)
        assert len(calls) == (3 if measured > 5 else 1)


@pytest.mark.slow
def test_a_table_foretells_the_time_of_another_shape():
    config = mini_config()
    table = measure_table(config, 1.0, "float32", 1, "cpu")
    layers = tuple(
        type(layer)(layer.heads[:3], 100 + 40 * index) for index, layer in enumerate(config.layers)
    )
    small = type(config)(**{**vars(config), "layers": layers})
    foretold = [table.cost(each, built_widths(each)).total for each in (small, config)]
    measured = [measure_ms(SSLEncoder(each), table)[0] for each in (small, config)]
    assert measured[0] / measured[1] == pytest.approx(foretold[0] / foretold[1], rel=0.1)
