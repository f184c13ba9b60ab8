"""The choices of diarization inference, and those that a DiariZen release comes with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from espnet_prune.diarization.clustering.agglomerative import LINKAGES
from espnet_prune.diarization.clustering.base import SpeakerBounds
from espnet_prune.diarization.embedding.wespeaker import WESPEAKER
from espnet_prune.encoder import ConfigError
from espnet_prune.encoder.typed import check_name, read_typed, settle_types
from espnet_prune.formats.diarizen import CONFIG, read_toml
from espnet_prune.inference import PRECISIONS
from espnet_prune.storage.config_files import read_yaml

CLUSTERINGS = ("ahc", "vbx")
PLDA = "plda"
"""Folder of a DiariZen release with what VBx compares embeddings by."""
INFERENCE = "inference.yaml"
"""File of a diarization model with the values of InferenceConfig that it is best run with."""
HEAD = "embedding"
"""Folder of a diarization model with the embedding head of its encoder."""
JOINING = frozenset({
    "min_share", "max_clustered", "clustering", "threshold", "linkage", "min_cluster_size",
    "vbx_conf", "num_speakers", "min_speakers", "max_speakers", "exclusive", "min_duration",
    "min_gap", "voice_similarity",
})  # fmt: skip
"""The fields of InferenceConfig that clustering and stitching alone read."""
# The largest values of numbers that are above zero.
_MOST = {
    "step": 3600, "stretch": 3600, "median": 9999, "max_clustered": 100_000,
    "min_cluster_size": 10**9, "batch_size": 65536,
}  # fmt: skip
# Those of numbers that may be zero.
_RANGES = {"min_duration": 3600, "min_gap": 3600, "voice_similarity": 1}
# What we call the options of VBx of a release.
_VBX = {
    "ahc_threshold": "threshold", "Fa": "Fa", "Fb": "Fb", "max_iters": "max_iters",
    "lda_dim": "lda_dim",
}  # fmt: skip


@dataclass(frozen=True)
class InferenceConfig:
    """How windows become a recording.

    Attributes:
        step: seconds from the start of a window to the start of the next.
        stretch: seconds of audio that the encoder hears at once; windows are cut of its states. By
            default, and in streams, it hears each window by itself, as in training, and what
            overlaps once for each: a longer stretch is faster, and what it costs in errors depends
            on the model.
        median: width of the median filter on each local speaker's activity, in frames, odd.
        embedding: ``ssl``, mean and deviation of a hidden state over a local speaker's frames, or
            another source that :func:`~espnet_prune.diarization.embedding.make_embedder` knows.
        embedding_layer: the hidden state of ``ssl``; 0 is the Transformer's input.
        min_share: a local speaker takes part in clustering if alone active in this share of the
            window's frames; the others are assigned afterwards.
        max_clustered: local speakers of a recording that take part in clustering at most, evenly
            over time; its memory grows with their square.
        clustering: ``ahc``, agglomerative, or ``vbx`` (Bayesian, with PLDA).
        threshold, linkage, min_cluster_size: of ``ahc``, see
            :class:`~espnet_prune.diarization.clustering.agglomerative.AgglomerativeClustering`.
        vbx_conf: keyword arguments of :class:`~espnet_prune.diarization.clustering.vbx.VBxConfig`.
        num_speakers: of a recording, where it is known.
        min_speakers, max_speakers: of a recording, where bounds are known.
        exclusive: one speaker at a time, the one for whom most windows vote.
        min_duration: seconds; shorter turns are left out.
        min_gap: seconds; shorter gaps between turns of one speaker are filled, first of all.
        voice_similarity: cosine similarity from which on a speaker is a known voice.
        batch_size: windows per forward pass; by default what suits the device.
        precision: of the encoder: ``float32``, or faster and less exact ``bfloat16``, ``float16``
            or (on a CPU) ``int8``.

    Raises:
        ConfigError: a name that is none of those, or a number out of its range.
    """

    step: float = 2.0
    stretch: float | None = None
    median: int = 11
    embedding: str = "ssl"
    embedding_layer: int = 0
    min_share: float = 0.1
    max_clustered: int = 5000
    clustering: str = "ahc"
    threshold: float = 0.2
    linkage: str = "average"
    min_cluster_size: int = 1
    vbx_conf: Mapping[str, Any] = field(default_factory=dict)
    num_speakers: int | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None
    exclusive: bool = False
    min_duration: float = 0.0
    min_gap: float = 0.0
    voice_similarity: float = 0.5
    batch_size: int | None = None
    precision: str = "float32"

    def __post_init__(self) -> None:
        settle_types(self)
        check_name("a precision", self.precision, PRECISIONS)
        check_name("a clustering", self.clustering, CLUSTERINGS)
        check_name("a linkage", self.linkage, LINKAGES)
        for name, most in _MOST.items():
            value = getattr(self, name)
            if value is not None and not 0 < value <= most:
                raise ConfigError(
                    f"expected a {name} above zero, found {value!r}; the most is {most}"
                )
        for name, most in _RANGES.items():
            if not 0 <= (value := getattr(self, name)) <= most:
                raise ConfigError(f"expected a {name} from 0 to {most}, found {value!r}")
        if self.median % 2 == 0:
            raise ConfigError(f"expected a median of an odd number of frames, found {self.median}")
        _ = self.bounds

    @property
    def bounds(self) -> SpeakerBounds:
        """On the number of speakers of a recording."""
        return SpeakerBounds.of(self.num_speakers, self.min_speakers, self.max_speakers)


def config_of_release(path: Path) -> InferenceConfig:
    """What :data:`INFERENCE` beside a model says, or a DiariZen release's own; else our defaults.

    Of those releases that bring a PLDA, as those on Hugging Face do: it was trained for VBx on the
    embeddings of the WeSpeaker ResNet34, and fits no others (Han et al., 2025). ``path`` is the
    folder of the model, or the file of its weights in it.

    Raises:
        ConfigError: ``config.toml``, or that file, has a value out of its range.
    """
    folder = _folder(path)
    if (folder / INFERENCE).is_file():
        return read_typed(InferenceConfig, read_yaml(folder / INFERENCE), folder / INFERENCE)
    if not ((folder / CONFIG).is_file() and (folder / PLDA).is_dir()):
        return InferenceConfig()
    tables = read_toml(folder / CONFIG)
    inference, clustering = (
        tables.get(name, {}).get("args", {}) for name in ("inference", "clustering")
    )
    if (criterion := clustering.get("ahc_criterion", "distance")) != "distance":
        raise ConfigError(
            f"{folder / CONFIG}: expected an ahc_criterion of distance, found {criterion!r}; "
            "give a configuration of your own"
        )
    values: dict[str, Any] = {"embedding": WESPEAKER, "clustering": "vbx"}
    if {"seg_duration", "segmentation_step"} <= inference.keys():
        values["step"] = round(inference["seg_duration"] * inference["segmentation_step"], 3)
    if not inference.get("apply_median_filtering", True):
        values["median"] = 1
    vbx = {ours: clustering[theirs] for theirs, ours in _VBX.items() if theirs in clustering}
    return InferenceConfig(**values, vbx_conf=vbx)


def with_companions(config: InferenceConfig, path: Path) -> InferenceConfig:
    """The configuration with what lies beside the model at ``path``.

    That is its embedding head where ``head`` is asked for, and a PLDA for VBx that names none.
    """
    folder = _folder(path)
    if config.embedding == "head":
        config = replace(config, embedding=f"head:{folder / HEAD}")
    if config.clustering == "vbx" and PLDA not in config.vbx_conf and (folder / PLDA).is_dir():
        config = replace(config, vbx_conf={**config.vbx_conf, PLDA: str(folder / PLDA)})
    return config


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent
