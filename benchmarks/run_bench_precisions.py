"""Score a diarization model in several precisions, in PyTorch and in ONNX Runtime, and time them.

Errors are those of windows by themselves, the differences paired over recordings; milliseconds
those of one window of 8 s on one thread, in turns.

Example: python -m benchmarks.run_bench_precisions exp/model dump/raw/test/windows
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch

from benchmarks.evidence.score_windows import count_errors
from benchmarks.options import prepare
from benchmarks.results import Setting
from benchmarks.table import describe
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import positive, seed
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.export.files import Program, export_onnx, load_onnx
from espnet_prune.inference import PRECISIONS, inference_form
from espnet_prune.inference.timing import in_turns
from espnet_prune.report.table import Table
from espnet_prune.scoring.significance import rate_interval
from espnet_prune.storage.files import atomic_write

_SECONDS = 8
_EXPLANATION = f"""\
Errors of windows by themselves, before any clustering; differences to the first row, with the 95 %
interval over recordings. Milliseconds of one window of {_SECONDS} s, encoder and head, on one
thread, least and median of the rounds, in turns. MB: weights as PyTorch holds them, and the size of
the ONNX file. int8: the linear maps alone, weights per output, inputs as they come; of PyTorch,
those of the encoder."""


@dataclass(frozen=True)
class PrecisionRow(Setting):
    """One runtime and precision; bench_precisions.json has the same keys.

    Attributes:
        runtime, precision: what ran.
        units: errors and speech of each recording, in frames.
        seconds: of one window, round by round.
        megabytes: of the weights, 10^6.
    """

    runtime: str
    precision: str
    units: dict[str, list[float]]
    seconds: list[float]
    megabytes: float


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    add = parser.add_argument
    add("model", help="folder of a diarization model")
    add("windows", type=Path, help="file of make_windows, wav.scp and rttm beside it")
    add("--rounds", type=positive, default=20, help="of the timing (default: 20)")
    add("--seed", type=seed, default=0, help="of the timed window")
    add("--output", type=Path, default=Path("exp"), help="folder (default: exp)")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    args.threads = 1
    # Runtimes start a thread for each core that they are given.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with explained("bench_precisions"), tempfile.TemporaryDirectory() as folder:
        setting = prepare(args)
        model = DiarizationModel.from_pretrained(args.model)
        ways = list(_ways(model, Path(folder)))
        wav = 0.1 * torch.randn(1, _SECONDS * 16000), torch.tensor([_SECONDS * 16000])
        calls = [partial(run, *wav) for *_, run in ways]
        times = in_turns(calls, torch.device("cpu"), args.rounds)
        rows = [
            PrecisionRow(**asdict(setting), runtime=runtime, precision=precision,
                         units=count_errors(model, args.windows, run=run)["units"],
                         seconds=seconds, megabytes=megabytes)
            for (runtime, precision, megabytes, run), seconds in zip(ways, times, strict=True)
        ]  # fmt: skip
        text = json.dumps([asdict(row) for row in rows])
        atomic_write(args.output / "bench_precisions.json", text)
        print(render(rows))


def _ways(model: DiarizationModel, folder: Path) -> Iterator[tuple[str, str, float, Program]]:
    """Runtime, precision, megabytes of weights, and what gives log-probabilities."""
    maps = sum(weight.numel() for weight in model.encoder.layers.parameters() if weight.dim() > 1)
    total = sum(weight.numel() for weight in model.parameters())
    for precision, size in (("float32", 4), ("int8", 1)):
        form = copy.deepcopy(model)
        form.featurizer.encoder = inference_form(model.encoder, PRECISIONS[precision])
        yield "PyTorch", precision, (4 * (total - maps) + size * maps) / 1e6, form
    for quantized in (None, "int8"):
        path = folder / f"{quantized}.onnx"
        export_onnx(model, path, "log_probs", quantized)
        yield "ONNX Runtime", quantized or "float32", path.stat().st_size / 1e6, load_onnx(path)


def render(rows: Sequence[PrecisionRow]) -> str:
    """The table."""
    header = ("runtime", "precision", "DER of windows (%)", "points (95 % interval)", "min ms",
              "median ms", "MB")  # fmt: skip
    first, lines = rows[0].units, []
    for row in rows:
        errors, speech = map(sum, zip(*row.units.values(), strict=True))
        pairs = [(e - first[name][0], total) for name, (e, total) in sorted(row.units.items())]
        low, high = (100 * end for end in rate_interval(pairs))
        points = 100 * sum(e for e, _ in pairs) / speech
        difference = "" if row is rows[0] else f"{points:+.2f} ({low:+.2f} to {high:+.2f})"
        ms = f"{1000 * min(row.seconds):.1f}", f"{1000 * median(row.seconds):.1f}"
        lines.append((row.runtime, row.precision, f"{100 * errors / speech:.2f}", difference, *ms,
                      f"{row.megabytes:.2f}"))  # fmt: skip
    told = ["# Precisions", "", *_EXPLANATION.splitlines(), "", *describe(rows[0])]
    told += [f"- {len(first)} recordings", "", Table(header, lines).markdown(), ""]
    return "\n".join(told)


if __name__ == "__main__":
    main()
