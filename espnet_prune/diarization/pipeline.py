"""From an audio file to who spoke when: windows, local model, clustering, stitching."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from espnet_prune.data.audio import SAMPLE_RATE, AudioStream, Source, as_source
from espnet_prune.data.audio.names import without_blanks
from espnet_prune.data.rttm import Turn
from espnet_prune.data.tables import DataError
from espnet_prune.diarization.clustering.base import SpeakerBounds, centroids_of
from espnet_prune.diarization.clustering.chosen import make_clustering, online_threshold
from espnet_prune.diarization.clustering.online import OnlineClustering
from espnet_prune.diarization.inference_config import (
    HEAD,
    INFERENCE,
    PLDA,
    InferenceConfig,
    config_of_release,
    with_companions,
)
from espnet_prune.diarization.local import LocalDiarizer, LocalSpeakers, Watch, telling
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.diarization.result import Diarization
from espnet_prune.diarization.stitching import (
    close_gaps,
    drop_short,
    first_speech,
    stitch,
    to_turns,
)
from espnet_prune.diarization.streaming import Stream
from espnet_prune.diarization.voices import (
    Voice,
    Voices,
    check_voices,
    names_of,
    numbered,
    voices_of,
)
from espnet_prune.formats.sources import find_source
from espnet_prune.storage.embedded import DIARIZER

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
        self.voices: Voices = {}
        self._join_by(config)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path = DIARIZER,
        config: InferenceConfig | None = None,
        device: torch.device | str = "cpu",
    ) -> Diarizer:
        """Load whatever :meth:`DiarizationModel.from_pretrained` reads, or this package's model.

        By default it is run as :data:`.INFERENCE` beside it says, a release of DiariZen as its
        authors do; VBx takes its PLDA from ``source`` if it names none.

        Raises:
            CheckpointError: no such model in ``source``.
        """
        path = find_pipeline(source)
        config = with_companions(config or config_of_release(path), path)
        return cls(DiarizationModel.from_pretrained(path), config, device)

    def to(self, device: torch.device | str) -> Diarizer:
        """Move model and embeddings to ``device``."""
        self.local.networks.to(device)
        return self

    def __call__(
        self,
        source: Source,
        num_speakers: int | None = None,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Annotation:
        """Diarize one recording, of any format, rate and number of channels.

        What is given of the number of speakers replaces all that the configuration says of it.

        Args:
            source: whatever :func:`~espnet_prune.data.audio.as_source` takes: the path of a file,
                an open file, samples and their rate, ``{"waveform": ..., "sample_rate": ...}``.
            num_speakers: of the recording, where it is known.
            min_speakers: lower bound on them.
            max_speakers: upper bound on them.
            progress: is called with the number of windows that are done, and of all.

        Raises:
            DataError: the recording is missing, unreadable, truncated or empty.
            ConfigError: numbers of speakers that contradict each other.
        """
        bounded = self.with_speakers(num_speakers, min_speakers, max_speakers)
        found = bounded.run(source, watch=telling(progress) if progress else iter)
        return found.annotation

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

        Of the configuration, ``exclusive``, ``min_duration`` and ``voice_similarity`` are kept; a
        known voice gives its name to a speaker whom it is like when that one is first heard.

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
                that contradict each other, VBx, which has no such threshold, without one, or a
                ``min_gap``, for which turns would have to wait.
            DataError: known voices that are none of this embedding.
        """
        if threshold is None:
            threshold = online_threshold(self.config)
        least = self.config.min_share * self.local.frames
        bounded = self.with_speakers(num_speakers, min_speakers, max_speakers)
        clustering = OnlineClustering(threshold, least, bounded.bounds)
        step = max(delay / 4, self.local.grid.shift) if step is None else step
        name = without_blanks(recording)
        return Stream(self.local, clustering, self.config, self.voices, name, rate, delay, step)

    def diarize(self, source: Source, recording: str, watch: Watch = iter) -> list[Turn]:
        """The turns of one recording under that name; none if nobody speaks.

        Raises:
            DataError: the recording is missing, unreadable, truncated or empty.
        """
        return self.run(source, recording, watch).turns

    def run(self, source: Source, recording: str | None = None, watch: Watch = iter) -> Diarization:
        """As :meth:`diarize`, with what the speakers sound like; the name is that of the source."""
        source = as_source(source)
        with AudioStream(source) as audio:
            local = self.local(audio, watch)
        return self.join(local, source.name if recording is None else recording)

    def join(self, local: LocalSpeakers, recording: str) -> Diarization:
        """The speakers of a recording, of what the local model told of its windows."""
        labels = self.label(local)
        config, shift = self.config, self.local.grid.shift
        most = 1 if config.exclusive else np.inf
        active = stitch(local.activity, labels, local.first_frames, local.num_frames, most=most)
        close_gaps(active, round(config.min_gap / shift, 6), alone=config.exclusive)
        drop_short(active, round(config.min_duration / shift, 6))
        # Clusters whom no frame's vote favours would leave gaps in the numbering.
        heard = first_speech(active)
        self.bounds.warn_of_few(len(heard), recording)
        voices = voices_of(local, labels)[heard]
        others = numbered(self.voices)
        names = names_of(voices, self.voices, config.voice_similarity, others)
        turns = to_turns(active[:, heard], recording, self.local.grid, names)
        return Diarization(recording, turns, dict(zip(names, voices, strict=True)))

    def voice(self, source: Source) -> Voice:
        """What the one who speaks in a recording sounds like ``(E,)``, for :meth:`with_voices`.

        Raises:
            DataError: the recording is missing, unreadable, truncated or empty, or nobody speaks.
        """
        source = as_source(source)
        for voice in self.with_speakers(1).run(source).voices.values():
            return voice
        raise DataError(f"expected somebody who speaks, found nobody in {source}; record more")

    def with_voices(self, voices: Voices) -> Diarizer:
        """The same diarizer, which calls the speakers with these voices by their names.

        Each name is given once, to the speaker whose voice is the most similar, and to nobody if
        none is by ``voice_similarity`` of the configuration. Others are ``spk0``, ``spk1``, ...

        Raises:
            DataError: names with blanks, or voices that are none of this embedding.
        """
        other = copy.copy(self)
        other.voices = check_voices(voices)
        return other

    def with_speakers(
        self,
        num_speakers: int | None = None,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
    ) -> Diarizer:
        """The same diarizer with other numbers of speakers, those of the configuration if none.

        Raises:
            ConfigError: numbers that contradict each other.
        """
        other = copy.copy(self)
        if (given := (num_speakers, min_speakers, max_speakers)) != (None, None, None):
            other.bounds = SpeakerBounds.of(*given)
        return other

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


def find_pipeline(source: str | Path) -> Path:
    """The local folder or file of a model, with its embedding head and PLDA beside it."""
    return find_source(source, also=[INFERENCE, f"{PLDA}/*", f"{HEAD}/*"])
