"""What is finished of a study: how each model was made, and what it scores."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.evidence.study import MODEL, Study, node_folder
from espnet_prune.formats.sources import encoder_of
from espnet_prune.inference.latency import Conditions, measure_ms
from espnet_prune.pruning import count_macs, count_params
from espnet_prune.storage.config_files import read_json

NODE = "node.json"
"""The last file of a node: where it is, the node is finished."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """How one node of one seed was made; ``node.json`` has the same keys.

    Attributes:
        commands: that made it, the folder of the study a dot.
        steps, seconds: of its own training, validation included; 0 without one. Seconds are of the
            wall, beside whatever else ran.
        params, macs: of its encoder; of one second of audio.
        commit, date, torch, espnet, processor: of the last command.
    """

    commands: list[str]
    steps: int
    seconds: float
    params: int
    macs: int
    commit: str | None
    date: str
    torch: str
    espnet: str | None
    processor: str


@dataclass(frozen=True, kw_only=True)
class Row(Made):
    """One arm of one seed, with what it took in all and what it scores; RESULTS.json has the same.

    Attributes:
        arm, seed, title: which.
        reference: whether others are compared with it.
        rate, units: what is scored, and what one by one.
        all_steps, all_seconds: of the arm and of the nodes that it builds on.
        ms: of its encoder, in the inference form, for 8 s on a thread, measured as rows are
            collected; None of rows before that was.
        scores: ``[errors, total]`` of every recording or utterance, by set.
    """

    arm: str
    seed: int
    title: str
    reference: bool
    rate: str
    units: str
    all_steps: int
    all_seconds: float
    scores: Mapping[str, Mapping[str, Sequence[float]]]
    ms: float | None = None


def described(study: Study, name: str, seed: int, folder: Path) -> list[str]:
    """The commands of a node as they are anywhere."""
    return [
        shlex.join(command).replace(str(folder), ".").replace(sys.executable, "python3")
        for command in study.commands(name, seed, folder)
    ]


def cost_of(model: Path) -> dict[str, int]:
    """``params`` and ``macs`` of the encoder of a folder that a node has made."""
    config = encoder_of(model).config
    return {"params": count_params(config).total, "macs": count_macs(config).total}


def check_made(study: Study, nodes: Iterable[str], seeds: Iterable[int], folder: Path) -> None:
    """Raise ValueError if a finished node was made by other commands than the study has now."""
    seeds = list(seeds)
    for name in nodes:
        for seed in seeds:
            made = _made(folder, name, seed)
            if made and made.commands != described(study, name, seed, folder):
                here = node_folder(folder, name, seed)
                raise ValueError(
                    f"{here}: expected what the study makes now, found what other commands have "
                    "made; remove it, and what was made of it, or choose another --output"
                )


def collect(study: Study, folder: Path) -> str:
    """RESULTS.json: the rows of all arms and seeds that are finished."""
    return json.dumps([asdict(row) for row in _rows(study, folder)])


def _rows(study: Study, folder: Path) -> Iterator[Row]:
    for name in study.arms:
        node = study.nodes[name]
        seeds = sorted(int(path.parent.name) for path in folder.glob(f"{name}/*/{NODE}"))
        for seed in seeds:
            chain = [_made(folder, each, seed) for each in (*node.after, name)]
            made = chain[-1]
            assert made is not None
            files, here = study.scoring(name, seed, folder), node_folder(folder, name, seed)
            yield Row(
                **asdict(made),
                arm=name,
                seed=seed,
                title=str(node.title),
                reference=name == study.reference,
                ms=round(measure_ms(encoder_of(here / MODEL), Conditions())[0], 2),
                rate=study.rate,
                units=study.units,
                all_steps=sum(each.steps for each in chain if each),
                all_seconds=sum(each.seconds for each in chain if each),
                scores={each: read_json(here / f"{each}.json")["units"]
                        for each in files},
            )  # fmt: skip


def _made(folder: Path, name: str, seed: int) -> Made | None:
    path = node_folder(folder, name, seed) / NODE
    return Made(**read_json(path)) if path.exists() else None
