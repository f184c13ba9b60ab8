"""From an audio file to who spoke when: windows, local model, clustering, stitching."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from espnet_prune.data.audio import SAMPLE_RATE, AudioStream
from espnet_prune.data.rttm import Turn, to_annotation
from espnet_prune.diarization.clustering.agglomerative import AgglomerativeClustering
from espnet_prune.diarization.clustering.base import (
    BoundedClustering,
    SpeakerBounds,
    centroids_of,
)
from espnet_prune.diarization.clustering.online import OnlineClustering
from espnet_prune.diarization.clustering.vbx import VBxClustering, VBxConfig
from espnet_prune.diarization.inference_config import (
    HEAD,
    PLDA,
    InferenceConfig,
    config_of_release,
    with_companions,
)
from espnet_prune.diarization.local import LocalDiarizer, LocalSpeakers, Watch
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.diarization.stitching import stitch, to_turns
from espnet_prune.diarization.streaming import Stream
from espnet_prune.encoder import ConfigError
from espnet_prune.encoder.typed import read_typed
from espnet_prune.formats.sources import find_source

if TYPE_CHECKING:
    from pyannote.core import Annotation


class Diarizer:
    """Diarize recordings of any length with a local model.

    Memory is bounded whatever the length of a recording, but for what each window leaves: a byte
    per frame and local speaker, and an embedding per speaker who is active.

    Raises:
        ConfigError: a precision that the device does not have, or options that VBx does not.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import soundfile
        >>> from espnet_prune import Diarizer, SSLEncoder
        >>> from espnet_prune.diarization.head import DiarizationConfig
        >>> from espnet_prune.diarization.model import DiarizationModel
        >>> from espnet_prune.encoder import Featurizer
        >>> featurizer = Featurizer(SSLEncoder.from_pretrained("whisper_tiny_en"))
        >>> model = DiarizationModel(featurizer, DiarizationConfig(window_size=2.0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     soundfile.write(f"{folder}/meeting.wav", np.zeros(16000), 16000)
        ...     print(Diarizer(model.eval())(f"{folder}/meeting.wav").uri)  # a pyannote Annotation
        meeting
    """

    def __init__(
        self,
        model: DiarizationModel,
        config: InferenceConfig | None = None,
        device: torch.device | str = "cpu",
    ):
        config = config or InferenceConfig()
        self.model = model
        self.local = LocalDiarizer(model, config, device)
        self._join_by(config)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        config: InferenceConfig | None = None,
        device: torch.device | str = "cpu",
    ) -> Diarizer:
        """Load whatever :meth:`DiarizationModel.from_pretrained` reads.

        A release of DiariZen is run as its authors do by default; VBx takes its PLDA from
        ``source`` if it names none.

        Raises:
            CheckpointError: no such model in ``source``.
        """
        path = find_pipeline(source)
        config = with_companions(config or config_of_release(path), path)
        return cls(DiarizationModel.from_pretrained(path), config, device)

    def to(self, device: torch.device | str) -> Diarizer:
        """Move model and embeddings to ``device``."""
        self.local.to(device)
        return self

    def __call__(
        self,
        path: str | Path,
        num_speakers: int | None = None,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
    ) -> Annotation:
        """Diarize one file, of any format, rate and number of channels that libsndfile reads.

        What is given of the number of speakers replaces all that the configuration says of it.

        Raises:
            DataError: the file is missing, unreadable, truncated or empty.
            ConfigError: numbers of speakers that contradict each other.
        """
        bounded = copy.copy(self)
        bounded.bounds = self._bounds_of(num_speakers, min_speakers, max_speakers)
        name = recording_name(path)
        return to_annotation(bounded.diarize(path, name), name)

    def stream(
        self,
        rate: int = SAMPLE_RATE,
        delay: float = 2.0,
        step: float | None = None,
        threshold: float | None = None,
        num_speakers: int | None = None,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
        recording: str = "stream",
    ) -> Stream:
        """Diarize a recording while it is made: :meth:`Stream.push` takes its chunks.

        Args:
            rate: of the samples, in Hz.
            delay: seconds after which what was heard is decided on, at most.
            step: seconds from a window to the next, a quarter of the delay unless given; the
                shorter, the more windows have a say, and are computed.
            threshold: cosine distance from all speakers at which a voice is a new one, unless given
                that of the configuration's clustering.
            num_speakers, min_speakers, max_speakers: as of a call. There are never more; there may
                be fewer, which a warning tells at the end.
            recording: the name that turns give it; its blanks become ``_``.

        Raises:
            ConfigError: a rate that is none, a delay too short for the step, numbers of speakers
                that contradict each other, or VBx, which has no such threshold, without one.
        """
        if threshold is None:
            threshold = online_threshold(self.config)
        least = self.config.min_share * self.local.frames
        bounds = self._bounds_of(num_speakers, min_speakers, max_speakers)
        clustering = OnlineClustering(threshold, least, bounds)
        step = max(delay / 4, self.local.grid.shift) if step is None else step
        name = without_blanks(recording)
        return Stream(self.local, clustering, name, rate, delay, step)

    def _bounds_of(self, *given: int | None) -> SpeakerBounds:
        """The bounds that a call gives, or else those of the configuration."""
        return self.bounds if given == (None, None, None) else SpeakerBounds.of(*given)

    def diarize(self, path: str | Path, recording: str, watch: Watch = iter) -> list[Turn]:
        """The turns of one file, named as of ``recording``; none if nobody speaks.

        Raises:
            DataError: the file is missing, unreadable, truncated or empty.
        """
        with AudioStream(path) as audio:
            local = self.local(audio, watch)
        return self.join(local, recording)

    def join(self, local: LocalSpeakers, recording: str) -> list[Turn]:
        """The turns of a recording, of what the local model told of its windows."""
        labels = self.label(local)
        active = stitch(local.activity, labels, local.first_frames, local.num_frames)
        # Clusters whom no frame's vote favours would leave gaps in the numbering.
        active = active[:, active.any(axis=0)]
        self.bounds.warn_of_few(active.shape[1], recording)
        return to_turns(active, recording, self.local.grid)

    def with_joining(self, config: InferenceConfig) -> Diarizer:
        """The same local model with a configuration whose ``JOINING`` alone differs."""
        other = copy.copy(self)
        other._join_by(config)
        return other

    def _join_by(self, config: InferenceConfig) -> None:
        self.config, self.bounds = config, config.bounds
        self.clustering = make_clustering(config)

    def label(self, local: LocalSpeakers) -> NDArray[np.int64]:
        """The cluster of every window's local speakers ``(W, S)``.

        The inactive are -1, and so are those whom a window has beyond the number of clusters.
        """
        active = local.active
        if not active.any():
            return np.full(active.shape, -1, dtype=np.int64)
        windows, _ = np.nonzero(active)
        least = self.config.min_share * local.activity.shape[1]
        clear = np.flatnonzero(local.alone[active] >= least)
        chosen = clear if len(clear) >= self.bounds.minimum else np.arange(len(windows))
        if len(chosen) > self.config.max_clustered:
            evenly = np.linspace(0, len(chosen) - 1, self.config.max_clustered)
            chosen = chosen[evenly.round().astype(np.int64)]
        embeddings = local.embeddings[chosen]
        clusters = self.clustering(embeddings, windows[chosen], self.bounds)
        return local.assigned(centroids_of(embeddings, clusters))


def make_clustering(config: InferenceConfig) -> AgglomerativeClustering | BoundedClustering:
    """The clustering that ``config`` asks for; ConfigError of options that it does not have."""
    if config.clustering == "ahc":
        return AgglomerativeClustering(config.threshold, config.linkage, config.min_cluster_size)
    return BoundedClustering(VBxClustering(read_typed(VBxConfig, config.vbx_conf, "vbx_conf")))


def online_threshold(config: InferenceConfig) -> float:
    """The cosine distance at which a clustering tells speakers apart; ConfigError of VBx."""
    if config.clustering != "ahc":
        raise ConfigError(
            f"expected a threshold, since the clustering {config.clustering} has none that a "
            "stream could take; pass threshold, the cosine distance of different speakers"
        )
    # Centroids of unit vectors are compared by their Euclidean distance.
    return config.threshold**2 / 2 if config.linkage == "centroid" else config.threshold


def find_pipeline(source: str | Path) -> Path:
    """The local folder or file of a model, with its embedding head and PLDA beside it."""
    return find_source(source, also=[f"{PLDA}/*", f"{HEAD}/*"])


def recording_name(path: str | Path) -> str:
    """The name of a file's recording: that of the file, without its blanks and its suffix."""
    return without_blanks(Path(path).stem)


def without_blanks(path: str | Path) -> str:
    """A path as RTTM files can hold it: ``_`` for blanks, ``\\xff`` for bytes that are no UTF-8."""
    return "_".join(os.fsencode(path).decode("utf-8", "backslashreplace").split())
