"""The figures of a recipe: size, speed and error rates of the dense and the pruned model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import SSLConfig
from espnet_prune.environment import Environment, this_environment
from espnet_prune.inference import inference_form
from espnet_prune.pruning import count_macs
from espnet_prune.report.environment import INPUT_SECONDS, benchmark_device, median_seconds
from espnet_prune.report.history import History, read_history
from espnet_prune.report.inputs import Inputs, ModelFiles
from espnet_prune.report.rates import RATES, Difference, read_difference, read_scores
from espnet_prune.report.table import Measure, Table

_COSTS = (
    Measure("params", "parameters (M)", "{:.3f}", 1e-6),
    Measure("sparsity", "sparsity (%)", "{:.1f}"),
    Measure("macs", "MACs (G per s of audio)", "{:.3f}", 1e-9),
    Measure("seconds", f"time of {INPUT_SECONDS:g} s (ms)", "{:.1f}", 1000),
    Measure("speedup", "speed-up", "{:.2f}x", 1),
    Measure("model_params", "parameters with head (M)", "{:.3f}", 1e-6),
    Measure("steps", "training steps", "{:.0f}", 1),
    Measure("train_seconds", "training (min)", "{:.1f}", 1 / 60),
)
_INTERVAL = (Measure("der_low", "DER, 95 % from"), Measure("der_high", "DER, 95 % to"))
_PARTS = (
    Measure("miss", "miss (%)"),
    Measure("false_alarm", "false alarm (%)"),
    Measure("confusion", "confusion (%)"),
    Measure("jer", "JER (%)"),
)
_DIFFERENCE = (
    Measure("estimate", "DER", "{:+.2f}"),
    Measure("low", "95 % from", "{:+.2f}"),
    Measure("high", "95 % to", "{:+.2f}"),
)


@dataclass(frozen=True)
class ModelResults:
    """Figures of one model; rates are fractions, None for a set without speech.

    ``macs`` are those of 1 s of audio, ``seconds`` the time that the encoder's inference form
    takes for 8 s. ``steps`` and ``train_seconds``, validation included, are of all trainings that
    led to the model, one after the other. Recordings may be too few for a 95 % interval of the
    DER. ``der_by_variant`` has the DER of inference by other configurations, by their names.
    """

    params: int  # of the SSL encoder
    macs: int
    seconds: float
    model_params: int  # of the whole diarization model
    steps: int
    train_seconds: float
    der: float | None
    miss: float | None
    false_alarm: float | None
    confusion: float | None
    jer: float | None
    der_low: float | None = None
    der_high: float | None = None
    der_by_variant: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """Figures of a whole recipe; ``results.json`` has the same keys."""

    set: str
    seed: int
    sparsity: float  # share of the dense SSL encoder's parameters that pruning removed
    speedup: float  # time of the dense SSL encoder over that of the pruned one
    dense: ModelResults
    pruned: ModelResults
    train_seconds: dict[str, float]  # by the name of the training's folder
    device: str  # that the encoders were timed on
    threads: int
    environment: Environment
    difference: Difference
    dense_continued: ModelResults | None = None  # the dense model, trained on

    @property
    def models(self) -> dict[str, ModelResults]:
        """The models by their names, as tables show them."""
        models = {"dense": self.dense, "pruned": self.pruned}
        if self.dense_continued:
            models["dense, trained on"] = self.dense_continued
        return models


def gather(inputs: Inputs, seed: int) -> Results:
    """Read, count and time everything."""
    models = [DiarizationModel.from_pretrained(m.model) for m in (inputs.dense, inputs.pruned)]
    device = benchmark_device()
    forms = [inference_form(model.encoder.to(device)) for model in models]
    seconds = median_seconds(forms[0], forms[1])
    first, last = (read_history(m.checkpoint) for m in (inputs.dense, inputs.pruned))
    between = [read_history(path) for path in (inputs.prune, inputs.distill) if path]
    histories = [first, *between, last]
    dense = _model_results(models[0], seconds[0], inputs.dense, [first])
    pruned = _model_results(models[1], seconds[1], inputs.pruned, histories)
    continued = None
    if files := inputs.dense_continued:
        histories = [*histories, read_history(files.checkpoint)]
        continued = _model_results(models[0], seconds[0], files, [first, histories[-1]])
    return Results(
        set=inputs.dense.scores.stem,
        seed=seed,
        sparsity=1 - pruned.params / dense.params,
        speedup=dense.seconds / pruned.seconds,
        dense=dense,
        pruned=pruned,
        train_seconds={each.path.parent.name: round(each.seconds, 1) for each in histories},
        device=device.type,
        threads=torch.get_num_threads(),
        environment=this_environment(),
        difference=read_difference(inputs.difference),
        dense_continued=continued,
    )


def encoder_config(model: Path) -> SSLConfig:
    """The configuration of the SSL encoder of a diarization model's folder."""
    return DiarizationModel.from_pretrained(model).encoder.config


def cost_table(results: Results) -> Table:
    """Size and speed of the SSL encoders, and the size of the whole models."""
    dense = results.dense
    records = []
    for name, model in results.models.items():
        ratios = {
            "sparsity": 1 - model.params / dense.params,
            "speedup": dense.seconds / model.seconds,
        }
        records.append((name, vars(model) | ratios))
    return Table.of("size and speed", _COSTS, records).turned()


def rate_table(results: Results) -> Table:
    """DER and its interval, its parts and JER; DER of every other inference that was scored."""
    models = results.models
    interval = _INTERVAL if all(m.der_low is not None for m in models.values()) else ()
    variants = dict.fromkeys(name for m in models.values() for name in m.der_by_variant)
    others = [Measure(f"in {name}", f"DER, {name} (%)") for name in variants]
    measures = [Measure("der", "DER (%)"), *interval, *_PARTS, *others]
    records = [
        (name, vars(m) | {f"in {each}": m.der_by_variant.get(each) for each in variants})
        for name, m in models.items()
    ]
    return Table.of(results.set, measures, records).turned()


def difference_table(results: Results) -> Table:
    """DER of the pruned less that of the dense model, and its interval."""
    title = "pruned less dense, paired bootstrap over recordings"
    return Table.of(title, _DIFFERENCE, [("points", vars(results.difference))])


def render_tables(results: Results) -> str:
    """The Markdown tables, one model beside the other; rates in percent."""
    costs, rates, difference = (
        table(results).markdown() for table in (cost_table, rate_table, difference_table)
    )
    return f"### SSL encoder\n\n{costs}\n\n### DER\n\n{rates}\n\n{difference}"


def render_results(results: Results, name: str) -> str:
    """The whole RESULTS.md of the experiment folder ``name``, in the shape of ESPnet's."""
    times = ", ".join(f"{each} {s:.0f}" for each, s in results.train_seconds.items())
    return f"""# RESULTS

## Environments

{results.environment.markdown()}

## {name}

- Seed: {results.seed}
- Timed on: {results.device}, {results.threads} CPU threads
- Training time (s): {times}

{render_tables(results)}
"""


def _model_results(
    model: DiarizationModel, seconds: float, files: ModelFiles, trainings: Sequence[History]
) -> ModelResults:
    scores = read_scores(files.scores)
    return ModelResults(
        params=sum(parameter.numel() for parameter in model.encoder.parameters()),
        macs=count_macs(model.encoder.config, 1.0).total,
        seconds=seconds,
        model_params=sum(parameter.numel() for parameter in model.parameters()),
        steps=sum(training.steps for training in trainings),
        train_seconds=round(sum(training.seconds for training in trainings), 1),
        **{rate.key: scores[rate.key] for rate in RATES},
        der_low=scores.get("der_low"),
        der_high=scores.get("der_high"),
        der_by_variant={name: read_scores(p)["der"] for name, p in files.variants.items()},
    )
