"""Every figure equals one that is computed independently."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from espnet_prune.pruning import count_macs
from espnet_prune.report import results as module
from espnet_prune.report.environment import median_seconds
from espnet_prune.report.inputs import Inputs
from espnet_prune.report.rates import read_scores
from espnet_prune.report.results import Results, gather
from espnet_prune.storage.tensors import load_file
from tests.report.recipe import EPOCH_SECONDS, dense_config, pruned_config


@pytest.fixture(scope="module")
def results(inputs: Inputs) -> Results:
    """Results of the made-up recipe, with times that a test can know."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "median_seconds", lambda dense, pruned: (0.06, 0.02))
        return gather(inputs, seed=7)


@pytest.mark.parametrize("name", ["dense", "pruned"])
def test_sizes(inputs: Inputs, results: Results, name: str) -> None:
    folder, found = getattr(inputs, name).model, getattr(results, name)
    weights = load_file(folder / "model.safetensors")
    assert found.model_params == sum(weight.numel() for weight in weights.values())
    encoder = "featurizer.encoder."
    assert found.params == sum(w.numel() for k, w in weights.items() if k.startswith(encoder))


def test_macs_are_those_of_one_second(results: Results) -> None:
    # The formula itself is proved by the tests of the cost.
    assert results.dense.macs == count_macs(dense_config(), 1.0).total
    assert results.pruned.macs == count_macs(pruned_config(), 1.0).total


def test_ratios(results: Results) -> None:
    assert results.sparsity == pytest.approx(1 - results.pruned.params / results.dense.params)
    assert 0 < results.sparsity < 1
    assert results.speedup == pytest.approx(3)
    assert results.seed == 7
    assert results.set == "test"


@pytest.mark.parametrize("name", ["dense", "pruned"])
def test_rates_come_from_the_score_file(inputs: Inputs, results: Results, name: str) -> None:
    scores = json.loads(getattr(inputs, name).scores.read_text())
    for rate in ("der", "miss", "false_alarm", "confusion", "jer"):
        assert getattr(getattr(results, name), rate) == scores[rate]
    assert results.dense.der != results.pruned.der


def test_training_times(results: Results) -> None:
    epochs = {"dense_train": 6, "prune_train": 8, "distill_train": 4, "pruned_train": 6}
    assert results.train_seconds == {k: n * 2 * EPOCH_SECONDS for k, n in epochs.items()}


def test_encoders_take_turns() -> None:
    calls: list[str] = []

    class Encoder(torch.nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def forward(self, wav: torch.Tensor) -> None:
            assert wav.shape == (1, 128000) and not torch.is_grad_enabled() and not self.training
            calls.append(self.name)

    times = median_seconds(Encoder("dense"), Encoder("pruned"))  # type: ignore[arg-type]
    assert all(seconds > 0 for seconds in times)
    assert calls[::2] == ["dense"] * (len(calls) // 2)
    assert calls[1::2] == ["pruned"] * (len(calls) // 2)


RATES = '"der": 1, "miss": 1, "false_alarm": 0, "confusion": 0, "jer": 1, "speech": 9'


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", '{"der": 1}', '{"recordings": 3}', '{"recordings": {"a": {}}}'),
        f'{{{RATES}, "recordings": {{}}, "der_low": 0.5, "der_high": {{}}}}',
        f'{{{RATES}, "recordings": {{}}, "confusion": null}}',
        f'{{{RATES}, "recordings": {{}}, "speech": {{}}}}',
    ],
)
def test_damaged_scores(tmp_path: Path, text: str) -> None:
    (tmp_path / "test.json").write_text(text)
    with pytest.raises(ValueError, match=r"test\.json: expected (a JSON|the output|values)"):
        read_scores(tmp_path / "test.json")
