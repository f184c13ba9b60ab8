"""Who speaks when, while it is being said: chunks in, turns out after a bounded delay."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from espnet_prune.data.audio import SAMPLE_RATE
from espnet_prune.data.rttm import Turn
from espnet_prune.data.tables import DataError
from espnet_prune.diarization.clustering.base import normalised
from espnet_prune.diarization.clustering.online import OnlineClustering
from espnet_prune.diarization.inference_config import InferenceConfig
from espnet_prune.diarization.local import LocalDiarizer, LocalSpeakers, require_step
from espnet_prune.diarization.stitching import stitch, turn_of
from espnet_prune.diarization.voices import Voices, names_of, numbered
from espnet_prune.encoder import ConfigError

Chunk = NDArray[np.floating] | NDArray[np.int16] | torch.Tensor
"""The next samples ``(T,)`` of a recording: floats from -1 to 1, or 16 bit integers."""

_MIN_RATE, _MAX_RATE = 8_000, 768_000
_RESAMPLING = 0.125  # seconds that a resampler from such a rate holds back, at most


class Stream:
    """A recording that goes on; :meth:`~espnet_prune.Diarizer.stream` makes one.

    Whenever a step of audio is complete, the window that ends there is run. What it and those
    before it say of frames older than the delay is final then. The windows vote as they do offline;
    their speakers are those of the clustering, as far as it has heard.

    What is held is a window of audio and a step, what the windows of the delay leave, and of all
    that was before a centroid per speaker.

    Raises:
        ConfigError: a delay too short for the step, a rate that is none, or a ``min_gap``.
    """

    def __init__(
        self,
        local: LocalDiarizer,
        clustering: OnlineClustering,
        config: InferenceConfig,
        voices: Voices,
        recording: str,
        rate: int,
        delay: float,
        step: float,
    ):
        self.recording = recording
        self._local, self._clustering = local, clustering
        if config.min_gap:
            raise ConfigError(
                f"expected no min_gap of a stream, whose turns would have to wait, found "
                f"{config.min_gap:g} s; fill the gaps of the result"
            )
        self._most = 1 if config.exclusive else np.inf
        self._shortest = round(config.min_duration / local.grid.shift, 6)  # frames
        self._voices, self._least = dict(voices), config.voice_similarity
        self._others = numbered(voices)
        self._audio = _Audio(rate)
        self._step, self._lag = _frames_of(local, delay, step, self._audio.late)
        # Windows end as those of a whole recording do, and the early ones are short. The first is
        # that after which some frame is older than the delay.
        early = max(0, (local.frames - self._lag - 1) // self._step)
        self._end = local.frames - early * self._step  # frame before which the next window ends
        self._recent: deque[LocalSpeakers] = deque()  # windows with frames that are not final
        self._final = 0  # frames that are
        self._begun: dict[int, int] = {}  # clusters that speak, and since which frame
        self._names: dict[int, str] = {}
        self._finished = False

    @property
    def current(self) -> list[Turn]:
        """The turns that go on, as far as is final: speaker and begin stay, the end moves."""
        told = (cluster for cluster in self._begun if self._is_long(cluster, self._final))
        return [self._turn(cluster, self._final) for cluster in told]

    def push(self, chunk: Chunk) -> list[Turn]:
        """Hear the next chunk, of any length, and tell the turns that are over by now.

        The chunk is copied. The turns of all calls and of :meth:`finish`, in the order of their
        ends, are the result; how the recording was cut into chunks does not matter.

        Raises:
            DataError: a chunk of another shape or type, or with NaN or infinity: nothing of it was
                heard, and the stream goes on. Also a stream that is finished.
        """
        if self._finished:
            raise DataError("expected a stream that goes on, found a finished one; start another")
        samples = _samples_of(chunk)
        turns = []
        for first in range(0, len(samples), self._audio.rate):
            self._audio.add(samples[first : first + self._audio.rate])
            turns += self._run_windows()
        return turns

    def finish(self) -> list[Turn]:
        """Decide on all that was heard, and tell the turns that are left; none the second time."""
        if self._finished:
            return []
        self._finished = True
        self._audio.end()
        turns = self._run_windows()
        local, heard = self._local, self._audio.heard
        total = local.grid.num_frames(heard)
        if total > 0:
            if heard > self._stop(self._end - self._step) or not self._recent:
                first = -((local.size - heard) // local.grid.hop)
                self._run_window(first if first >= 0 else total - local.frames, heard)
            turns += self._decide(total)
            turns += self._end_turns(sorted(self._begun), total)
        self._clustering.bounds.warn_of_few(len(self._names), self.recording)
        return turns

    def follow(self, chunks: Iterable[Chunk]) -> Iterator[Turn]:
        """The turns of a whole recording, each as soon as it is final."""
        for chunk in chunks:
            yield from self.push(chunk)
        yield from self.finish()

    def _run_windows(self) -> list[Turn]:
        """Run the windows that are complete; the turns that are over by them."""
        turns = []
        while (stop := self._stop(self._end)) <= self._audio.heard:
            self._run_window(self._end - self._local.frames, stop)
            turns += self._decide(self._end - self._lag)
            self._end += self._step
        return turns

    def _stop(self, end: int) -> int:
        """The sample up to which a window hears that ends before the frame ``end``."""
        return self._local.size + (end - self._local.frames) * self._local.grid.hop

    def _run_window(self, first: int, stop: int) -> None:
        samples = self._audio.read(max(0, first) * self._local.grid.hop, stop)
        window = self._local.window(samples, first)
        self._clustering.add(window.embeddings, window.alone[window.active])
        self._recent.append(window)

    def _decide(self, until: int) -> list[Turn]:
        """Make the frames before ``until`` final; the turns that end in them."""
        if until <= self._final or not self._recent:
            return []
        seen = LocalSpeakers.joined(self._recent)
        labels = seen.assigned(self._clustering.sums)
        first_frames = seen.first_frames - self._final
        frames = until - self._final
        votes = stitch(seen.activity, labels, first_frames, frames, most=self._most)
        speaks = np.zeros((len(votes) + 1, len(self._clustering.sums)), dtype=bool)
        speaks[0, list(self._begun)] = True
        speaks[1:, : votes.shape[1]] = votes
        turns = []
        for frame, cluster in np.argwhere(np.diff(speaks, axis=0)).tolist():
            if cluster in self._begun:
                turns += self._end_turns([cluster], self._final + frame)
            else:
                self._begun[cluster] = self._final + frame
        self._final = until
        self._name_speakers(until)
        while self._recent and self._recent[0].num_frames <= until:
            self._recent.popleft()
        return turns

    def _end_turns(self, clusters: Iterable[int], end: int) -> list[Turn]:
        """The turns of those who speak up to a frame, but for those that are too short."""
        self._name_speakers(end)
        told = [self._turn(each, end) for each in clusters if self._is_long(each, end)]
        for cluster in clusters:
            del self._begun[cluster]
        return told

    def _name_speakers(self, end: int) -> None:
        """Name those whose first turn is told, once for all, in the order of their beginnings."""
        for cluster in self._begun:
            if cluster not in self._names and self._is_long(cluster, end):
                voice = normalised(self._clustering.sums[[cluster]]).astype(np.float32)
                (name,) = names_of(voice, self._voices, self._least, self._others)
                self._voices.pop(name, None)
                self._names[cluster] = name

    def _is_long(self, cluster: int, end: int) -> bool:
        return end - self._begun[cluster] >= self._shortest

    def _turn(self, cluster: int, end: int) -> Turn:
        begin, name = self._begun[cluster], self._names[cluster]
        return turn_of(self.recording, begin, end, name, self._local.grid)


class _Audio:
    """What was heard, at 16 kHz: the end of it that is still needed."""

    def __init__(self, rate: int):
        if not (isinstance(rate, int) and _MIN_RATE <= rate <= _MAX_RATE):
            raise ConfigError(
                f"expected a sampling rate of {_MIN_RATE} to {_MAX_RATE} Hz, found {rate!r}"
            )
        self.rate, self.late = rate, 0.0
        self.heard = 0
        self._resampler = None
        if rate != SAMPLE_RATE:
            import soxr

            self._resampler, self.late = soxr.ResampleStream(rate, SAMPLE_RATE, 1), _RESAMPLING
        self._parts: list[NDArray[np.float32]] = []
        self._first = 0  # sample that the parts begin at

    def add(self, samples: NDArray[np.float32]) -> None:
        """Hear samples ``(T,)``."""
        if self._resampler:
            samples = self._resampler.resample_chunk(samples)
        self._parts.append(samples)
        self.heard += len(samples)

    def end(self) -> None:
        """Hear what the resampler holds back."""
        if self._resampler:
            tail = self._resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
            self._parts.append(tail)
            self.heard += len(tail)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """The samples ``[start, stop)``; those before ``start`` are let go of."""
        held = np.concatenate(self._parts)[start - self._first :]
        # A copy: a view would keep all of it.
        self._parts, self._first = [held.copy()], start
        return held[: stop - start]


def _samples_of(chunk: Chunk) -> NDArray[np.float32]:
    """A copy ``(T,)`` of the samples of a chunk; DataError of what is none."""
    array = chunk.detach().cpu().numpy() if isinstance(chunk, torch.Tensor) else np.asarray(chunk)
    if array.ndim != 1:
        raise DataError(
            f"expected a chunk (T,) of one channel, found shape {array.shape}; mix the channels, "
            "or have a stream for each"
        )
    if array.dtype != np.int16 and array.dtype.kind != "f":
        raise DataError(
            f"expected samples as floating-point numbers or int16, found {array.dtype}; convert "
            "the chunk"
        )
    samples = array.astype(np.float32)
    if not np.isfinite(samples).all():
        where = int(np.isfinite(samples).argmin())
        raise DataError(
            f"expected finite samples, found {array[where]} at sample {where} of a chunk; leave "
            "it out, or put silence in its place"
        )
    return samples / np.float32(2**15) if array.dtype == np.int16 else samples


def _frames_of(local: LocalDiarizer, delay: float, step: float, late: float) -> tuple[int, int]:
    """A step, and how far behind the end of a window its decisions are final, in frames.

    Audio is ``late`` by so many seconds. Just before a window ends, a step has come since the last
    one, whose last frame ended before its audio did.
    """
    grid = local.grid
    require_step(local.networks.model, step)
    steps = min(local.frames, round(step / grid.shift))
    unseen = local.size / SAMPLE_RATE - (grid.centre + grid.shift * (local.frames - 0.5))
    least = late + unseen + grid.shift * steps
    if not least - 1e-6 <= delay < math.inf:
        raise ConfigError(
            f"expected a delay of {math.ceil(1000 * least) / 1000:g} s or more at a step of "
            f"{step:g} s, found {delay:g} s; choose a longer delay or a shorter step"
        )
    return steps, math.floor((delay - least) / grid.shift + 1e-6)
