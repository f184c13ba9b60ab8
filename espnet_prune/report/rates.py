"""Error rates of diarization as ``score_der`` and ``compare_der`` print them, and averages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median_low
from typing import Any

from espnet_prune.data import DataError
from espnet_prune.report.table import Measure, Table, percent
from espnet_prune.storage.config_files import read_json

RATES = (
    Measure("der", "DER %"),
    Measure("miss", "miss"),
    Measure("false_alarm", "FA"),
    Measure("confusion", "conf"),
    Measure("jer", "JER %"),
)
MACRO = "macro average"
_KEYS = tuple(rate.key for rate in RATES)


@dataclass(frozen=True)
class Difference:
    """DER of the pruned less that of the dense model, by the paired bootstrap: fractions."""

    estimate: float
    low: float | None
    high: float | None


def read_scores(path: Path) -> dict[str, Any]:
    """Read the output of ``score_der --json``; DataError for another file."""
    scores = read_json(path)
    recordings = scores.get("recordings")
    listed = [scores, *(recordings.values() if isinstance(recordings, dict) else [None])]
    ends = scores.get("der_low"), scores.get("der_high")
    if not _are_rates(*ends) or not all(map(_is_scored, listed)):
        raise DataError(
            f"{path}: expected the output of score_der --json, with {', '.join(_KEYS)} of all and "
            "of each of its recordings, found something else; run stage 11 again"
        )
    return scores


def read_difference(path: Path) -> Difference:
    """Read the output of ``compare_der --json``; DataError for another file."""
    found = read_json(path)
    values = [found.get(name, "") for name in ("difference", "low", "high")]
    if not _are_rates(*values) or values[0] is None:
        raise DataError(
            f"{path}: expected the output of compare_der --json, found something else; run stage "
            "11 again"
        )
    return Difference(*values)


def by_der(scores: Mapping[str, Any]) -> list[str]:
    """The recordings with speech in ``score_der --json``, the highest DER first."""
    rates = {name: each["der"] for name, each in scores["recordings"].items()}
    spoken = (name for name, der in rates.items() if der is not None)
    return sorted(spoken, key=lambda name: (-rates[name], name))


def median_recording(scores: Mapping[str, Any]) -> str:
    """The recording whose DER is the median of ``score_der --json``."""
    ranked = by_der(scores)
    if not ranked:
        raise DataError("expected a test set with speech, found none; check its rttm and uem")
    rates = [scores["recordings"][name]["der"] for name in ranked]
    return ranked[rates.index(median_low(rates))]


def read_sets(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Read the scores of each set, by the names of their files, or by their paths if need be."""
    stems = [path.stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise DataError(
            f"expected each set once, found one twice among {', '.join(names)}; list it once"
        )
    sets = {name: read_scores(path) for name, path in zip(names, paths, strict=True)}
    for name, scores in sets.items():
        if any(scores[key] is None for key in _KEYS):
            raise DataError(
                f"{name}: expected a set with speech, found none; leave it out of the average"
            )
    return sets


def sets_table(
    sets: Mapping[str, Mapping[str, Any]], published: Sequence[float] | None = None
) -> Table:
    """A row per set, then the macro average, in which each counts the same whatever its length.

    A column shows the intervals of the sets that have one, another one the ``published`` DER of
    each set in percent.
    """
    measures = list(RATES)
    records = {name: {**scores, "interval": _interval(scores)} for name, scores in sets.items()}
    average: dict[str, Any] = {k: fmean(scores[k] for scores in sets.values()) for k in _KEYS}
    if any("der_low" in scores for scores in sets.values()):
        measures.append(Measure("interval", "DER, 95 % interval"))
    if published is not None:
        if len(published) != len(sets):
            raise DataError(
                f"expected a published DER for each of {len(sets)} sets, found {len(published)}"
            )
        measures.append(Measure("published", "published DER %", scale=1))
        for record, der in zip(records.values(), published, strict=True):
            record["published"] = der
        average["published"] = fmean(published)
    return Table.of("set", measures, [*records.items(), (MACRO, average)])


def _interval(scores: Mapping[str, Any]) -> str:
    low, high = scores.get("der_low"), scores.get("der_high")
    return "" if low is None or high is None else f"{percent(low)} to {percent(high)}"


def _is_scored(scores: object) -> bool:
    """Whether these are scores of one recording, or of all; none has a DER without its parts."""
    if not isinstance(scores, dict):
        return False
    values = [scores.get(name, "") for name in (*_KEYS, "speech")]
    parts = [value is None for value in values[:4]]  # JER counts speakers, not time
    return _are_rates(*values) and all(parts) == any(parts)


def _are_rates(*values: object) -> bool:
    return all(
        value is None or (isinstance(value, int | float) and not isinstance(value, bool))
        for value in values
    )
