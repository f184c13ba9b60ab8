"""Count a diarization model's errors in windows by themselves, before any clustering."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import positive
from espnet_prune.diarization.frames import FrameGrid
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.diarization.windows import WindowAudio, WindowLabels
from espnet_prune.inference import inference_form
from espnet_prune.progress import progress
from espnet_prune.storage.files import atomic_write

# From waveforms (B, T) and samples (B,) to log-probabilities (B, L, K) and frames (B,).
Run = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("model", type=Path, help="folder of a diarization model")
    add("windows", type=Path, help="file of make_windows, wav.scp and rttm beside it")
    add("--output", type=Path, required=True, help="JSON file: errors and speech by recording")
    add("--batch_size", type=positive, default=8, help="(default: 8)")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("score_windows"):
        model = DiarizationModel.from_pretrained(args.model)
        found = count_errors(model, args.windows, args.batch_size)
        atomic_write(args.output, json.dumps(found))
        errors, speech = map(sum, zip(*found["units"].values(), strict=True))
        print(f"{args.output}: {found['windows']} windows, {100 * errors / speech:.2f} % DER")


@torch.no_grad()
def count_errors(
    model: DiarizationModel, windows: Path, batch_size: int = 8, run: Run | None = None
) -> dict[str, Any]:
    """``units``: frames in error and frames of speech of each recording; ``windows``: how many.

    Frames in error are missed speech, false alarm and speech of the wrong speaker, under the best
    order of the speakers in each window. What ``run`` gives counts, unless given that of the model
    in its inference form.
    """
    if run is None:
        model.featurizer.encoder = inference_form(model.encoder)
    audio = WindowAudio(windows)
    labels = WindowLabels(windows, model.config.max_speakers, FrameGrid.of(model.encoder.config))
    units: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    names = sorted(audio, key=lambda name: (len(audio[name]), name))
    for first in progress(range(0, len(names), batch_size), "windows"):
        batch = names[first : first + batch_size]
        wavs = pad_sequence([torch.from_numpy(audio[name]) for name in batch], batch_first=True)
        lengths = torch.tensor([len(audio[name]) for name in batch])
        log_probs, frames = (run or model)(wavs, lengths)
        found = model.powerset.to_multilabel(log_probs)
        for name, activity, length in zip(batch, found, frames, strict=True):
            true = torch.from_numpy(labels[name])[None, :length]
            counted = model.powerset.frame_errors(activity[None, :length], true, length[None])
            unit = units[audio.recording(name)]
            unit[0] += round(float(counted.der * counted.speech))
            unit[1] += int(true.sum())
    return {"units": dict(units), "windows": len(names)}


if __name__ == "__main__":
    main()
