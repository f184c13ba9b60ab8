"""From an audio file to who spoke when: windows, local model, clustering, stitching."""

from __future__ import annotations

import copy
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from espnet_prune.data.audio import AudioStream
from espnet_prune.data.rttm import Turn, to_annotation
from espnet_prune.diarization.clustering import (
    AgglomerativeClustering,
    BoundedClustering,
    Clustering,
    SpeakerBounds,
    assign,
    centroids_of,
)
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
from espnet_prune.encoder.typed import read_typed
from espnet_prune.formats.sources import find_source

if TYPE_CHECKING:
    from pyannote.core import Annotation

__all__ = ["Diarizer", "InferenceConfig"]

logger = logging.getLogger(__name__)


class Diarizer:
    """Diarize recordings of any length with a local model.

    Memory is bounded whatever the length of a recording, but for what each window leaves: a byte
    per frame and local speaker, and an embedding per speaker who is active.

    Args:
        model: the local model.
        config: how windows are cut and joined.
        device: where model and embeddings run.

    Raises:
        ConfigError: a precision that the device does not have, or options that VBx does not.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import soundfile
        >>> from espnet_prune import Diarizer, SSLEncoder
        >>> from espnet_prune.diarization.config import DiarizationConfig
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
        self.config = config or InferenceConfig()
        self.model = model
        self.local = LocalDiarizer(model, self.config, device)
        self.clustering = make_clustering(self.config)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        config: InferenceConfig | None = None,
        device: torch.device | str = "cpu",
    ) -> Diarizer:
        """Load whatever :meth:`DiarizationModel.from_pretrained` reads.

        Args:
            source: a folder, or an id on Hugging Face.
            config: by default that of :func:`~espnet_prune.diarization.inference_config.
                config_of_release`; VBx takes its PLDA from ``source`` if it names none.
            device: where model and embeddings run.

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

        Args:
            path: the file.
            num_speakers: how many speakers there are, where that is known.
            min_speakers, max_speakers: bounds on them. What is given here replaces all that the
                configuration says of it.

        Raises:
            DataError: the file is missing, unreadable, truncated or empty.
            ConfigError: numbers of speakers that contradict each other.
        """
        name = recording_name(path)
        given = (num_speakers, min_speakers, max_speakers)
        bounds = None if given == (None, None, None) else SpeakerBounds.of(*given)
        return to_annotation(self.diarize(path, name, bounds), name)

    def diarize(
        self,
        path: str | Path,
        recording: str,
        bounds: SpeakerBounds | None = None,
        watch: Watch = iter,
    ) -> list[Turn]:
        """The turns of one file, named as of ``recording``; none if nobody speaks.

        Args:
            path: the file.
            recording: its name.
            bounds: on the number of speakers; by default those of the configuration.
            watch: passes on the first samples of the windows, say under a progress bar.

        Raises:
            DataError: the file is missing, unreadable, truncated or empty.
        """
        with AudioStream(path) as audio:
            local = self.local(audio, watch)
        return self.join(local, recording, bounds)

    def join(
        self, local: LocalSpeakers, recording: str, bounds: SpeakerBounds | None = None
    ) -> list[Turn]:
        """The turns of a recording, of what the local model told of its windows."""
        labels = self.label(local, bounds)
        active = stitch(local.activity, labels, local.first_frames, local.num_frames)
        # Clusters whom no frame's vote favours would leave gaps in the numbering.
        active = active[:, active.any(axis=0)]
        least, found = (bounds or self.config.bounds).minimum, active.shape[1]
        if 0 < found < least:
            logger.warning(
                "%s: expected %d speakers or more, found %d; the windows tell no more apart",
                recording, least, found,
            )  # fmt: skip
        return to_turns(active, recording, self.local.grid)

    def with_joining(self, config: InferenceConfig) -> Diarizer:
        """The same local model with the clustering of ``config``, whose ``JOINING`` alone differs.

        Raises:
            ConfigError: options that the clustering does not have.
        """
        other = copy.copy(self)
        other.config, other.clustering = config, make_clustering(config)
        return other

    def label(self, local: LocalSpeakers, bounds: SpeakerBounds | None = None) -> NDArray[np.int64]:
        """The cluster of every window's local speakers ``(W, S)``.

        The inactive are -1, and so are those whom a window has beyond the number of clusters.
        """
        active = local.active
        labels = np.full(active.shape, -1, dtype=np.int64)
        if not active.any():
            return labels
        bounds = bounds or self.config.bounds
        windows, _ = np.nonzero(active)
        least = self.config.min_share * local.activity.shape[1]
        clear = np.flatnonzero(local.alone[active] >= least)
        chosen = clear if len(clear) >= bounds.minimum else np.arange(len(windows))
        if len(chosen) > self.config.max_clustered:
            chosen = _evenly(chosen, self.config.max_clustered)
        embeddings = local.embeddings[chosen]
        clusters = self.clustering(embeddings, windows[chosen], bounds)
        labels[active] = assign(local.embeddings, windows, centroids_of(embeddings, clusters))
        return labels


def make_clustering(config: InferenceConfig) -> Clustering:
    """The clustering that ``config`` asks for.

    Raises:
        ConfigError: options that it does not have.
    """
    if config.clustering == "ahc":
        return AgglomerativeClustering(config.threshold, config.linkage, config.min_cluster_size)
    from espnet_prune.diarization.clustering.vbx import VBxClustering, VBxConfig

    return BoundedClustering(VBxClustering(read_typed(VBxConfig, config.vbx_conf, "vbx_conf")))


def find_pipeline(source: str | Path) -> Path:
    """The local folder or file of a model, with its embedding head and PLDA beside it.

    Raises:
        CheckpointError: there is none.
    """
    return find_source(source, also=[f"{PLDA}/*", f"{HEAD}/*"])


def recording_name(path: str | Path) -> str:
    """The name of a file's recording: that of the file, without its blanks and its suffix."""
    return without_blanks(Path(path).stem)


def without_blanks(path: str | Path) -> str:
    """A path as RTTM files can hold it: ``_`` for blanks, ``\\xff`` for bytes that are no UTF-8."""
    return "_".join(os.fsencode(path).decode("utf-8", "backslashreplace").split())


def _evenly(items: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """So many of ``items``, evenly spread."""
    return items[np.linspace(0, len(items) - 1, number).round().astype(np.int64)]
