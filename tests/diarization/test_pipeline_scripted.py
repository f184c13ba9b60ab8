"""The whole pipeline on a model whose outputs the audio dictates: what must come out is known."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_prune import Diarizer
from espnet_prune.data import DataError, Turn
from espnet_prune.diarization.clustering.agglomerative import LINKAGES
from espnet_prune.diarization.clustering.base import BoundedClustering
from espnet_prune.diarization.embedding.wespeaker import WESPEAKER
from espnet_prune.diarization.inference_config import config_of_release, with_companions
from espnet_prune.diarization.pipeline import InferenceConfig
from espnet_prune.encoder import ConfigError
from tests.diarization.scripted import VOICES, scripted_model, write_script
from tests.formats.diarizen_format import Release

MEETING = [(0.5, 3.0, 0), (3.2, 5.0, 1), (4.4, 6.8, 2), (7.0, 9.0, 0), (9.0, 11.5, 1)]


def diarizer(max_speakers: int = 3, **config) -> Diarizer:
    return Diarizer(scripted_model(max_speakers), InferenceConfig(**{"step": 0.5, **config}))


def parts(turns: Iterable[tuple[float, float, object]]) -> set[frozenset[tuple[float, float]]]:
    """What each speaker says, whatever their names."""
    speakers: dict[object, list[tuple[float, float]]] = {}
    for start, end, speaker in turns:
        speakers.setdefault(speaker, []).append((round(start, 2), round(end, 2)))
    return {frozenset(each) for each in speakers.values()}


def found(turns: Iterable[Turn]) -> set[frozenset[tuple[float, float]]]:
    # Frames begin 2.5 ms late: their centres are those of the encoder's receptive field.
    return parts((turn.start - 0.0025, turn.end - 0.0025, turn.speaker) for turn in turns)


def speakers(turns: Iterable[Turn]) -> set[str]:
    return {turn.speaker for turn in turns}


@pytest.mark.parametrize("linkage", LINKAGES)
@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_a_meeting(tmp_path: Path, linkage: str, batch_size: int) -> None:
    path = write_script(tmp_path / "m.wav", MEETING, 12.0)
    turns = diarizer(linkage=linkage, batch_size=batch_size).diarize(path, "m")
    assert found(turns) == parts(MEETING)


@pytest.mark.parametrize("stretch", [2.0, 3.2, 60.0])
@pytest.mark.parametrize("embedding", ["ssl", "campplus"])
def test_windows_cut_of_a_stretch_are_those_by_themselves(
    tmp_path: Path, stretch: float, embedding: str
) -> None:
    """Of an encoder whose frames hear nothing but their own audio."""
    path = write_script(tmp_path / "m.wav", MEETING, 12.3)
    cut, alone = (
        diarizer(embedding=embedding, **more).run(path)
        for more in ({"stretch": stretch}, {"batch_size": 1})
    )
    assert cut.turns == alone.turns and cut.turns
    assert all((cut.voices[name] == voice).all() for name, voice in alone.voices.items())


def test_the_median_filter_removes_blips(tmp_path: Path) -> None:
    path = write_script(tmp_path / "m.wav", [(1.0, 5.0, 0), (6.0, 6.08, 1)], 8.0)
    assert found(diarizer().diarize(path, "m")) == parts([(1.0, 5.0, 0)])
    assert len(diarizer(median=1).diarize(path, "m")) == 2


@pytest.mark.parametrize("clustering", ["ahc", "own"])
@pytest.mark.parametrize("bounds", [{}, {"num_speakers": 2}, {"min_speakers": 3}])
def test_nobody_speaks(tmp_path: Path, clustering: str, bounds: dict[str, int]) -> None:
    def never(embeddings, windows):
        raise AssertionError("nothing to cluster")

    path = write_script(tmp_path / "silence.wav", [], 7.3)
    subject = diarizer(**bounds)
    if clustering == "own":
        subject.clustering = BoundedClustering(never)
    annotation = subject(path)
    assert len(annotation) == 0 and annotation.uri == "silence"


def test_nobody_is_embedded_where_nobody_speaks(tmp_path: Path, monkeypatch) -> None:
    path = write_script(tmp_path / "m.wav", [(10.5, 11.0, 0)], 20.0)
    subject = diarizer(batch_size=4)
    windows = []
    embedder = subject.local.networks.embedder

    def spy(stretch, states, weights):
        windows.extend(stretch.starts)
        assert weights.any(dim=1).any(dim=1).all() and len(weights) == len(stretch.starts)
        assert len(stretch.samples) == stretch.starts[-1] + stretch.size and stretch.starts[0] == 0
        return embedder(stretch, states, weights)

    spy.layers = embedder.layers
    monkeypatch.setattr(subject.local.networks, "embedder", spy)
    assert found(subject.diarize(path, "m")) == parts([(10.5, 11.0, 0)])
    assert 0 < len(windows) <= 5  # windows of 2 s, one each 0.5 s


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.98])
def test_shorter_than_a_window(tmp_path: Path, seconds: float) -> None:
    script = [(0.1, 0.4, 0)]
    path = write_script(tmp_path / "m.wav", script, seconds)
    assert found(diarizer().diarize(path, "m")) == parts(script)


def test_shorter_than_a_frame(tmp_path: Path) -> None:
    path = write_script(tmp_path / "m.wav", [(0.0, 0.02, 0)], 0.02)
    assert diarizer().diarize(path, "m") == []


@pytest.mark.parametrize("options", [{}, {"linkage": "centroid"}, {"num_speakers": 1}])
def test_one_speaker(tmp_path: Path, options: dict) -> None:
    path = write_script(tmp_path / "m.wav", [(0.5, 9.5, 3)], 10.0)
    assert found(diarizer(**options).diarize(path, "m")) == parts([(0.5, 9.5, 3)])


def test_only_overlap(tmp_path: Path) -> None:
    """Nobody is ever alone, so that nobody is clear enough: then all are clustered."""
    path = write_script(tmp_path / "m.wav", [(0.5, 9.5, 0), (0.5, 9.5, 1)], 10.0)
    turns = diarizer().diarize(path, "m")
    assert found(turns) == {frozenset({(0.5, 9.5)})} and len(speakers(turns)) == 2


def test_more_speakers_than_slots(tmp_path: Path) -> None:
    """A window of 2 s hears three voices, the model tells two apart; nobody else comes of it."""
    script = [(0.6 * i, 0.6 * i + 0.6, i % 4) for i in range(30)]
    path = write_script(tmp_path / "m.wav", script, 18.5)
    turns = diarizer(max_speakers=2).diarize(path, "m")
    assert 1 <= len(speakers(turns)) <= 4
    truth = {frame: voice for start, end, voice in script for frame in _frames(start, end)}
    for name in speakers(turns):
        heard = [
            truth[frame]
            for turn in turns
            if turn.speaker == name
            for frame in _frames(turn.start, turn.end)
            if frame in truth
        ]
        assert max(map(heard.count, set(heard))) > 0.9 * len(heard)


def _frames(start: float, end: float) -> range:
    return range(round(start * 50), round(end * 50))


@pytest.mark.parametrize("clustering", ["ahc", "own"])
def test_speakers_without_a_cluster_are_nobody(tmp_path: Path, clustering: str) -> None:
    """With one speaker allowed, the others of each window are left out, not made one."""
    path = write_script(tmp_path / "m.wav", MEETING, 12.0)
    subject = diarizer()
    if clustering == "own":
        subject.clustering = BoundedClustering(lambda e, w: np.arange(len(e)))
    annotation = subject(path, num_speakers=1)
    assert len(annotation.labels()) == 1
    labels = subject.label(_local(subject, path))
    assert (labels == -1).any()


def _local(subject: Diarizer, path: Path):
    from espnet_prune.data.audio import AudioStream

    with AudioStream(path) as audio:
        return subject.local(audio)


# Of four speakers where three differ.
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize("clustering", ["average", "centroid", "all one", "all different"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_bounds_hold(tmp_path: Path, clustering: str, number: int) -> None:
    path = write_script(tmp_path / "m.wav", MEETING, 12.0)
    if clustering in ("average", "centroid"):
        subject = diarizer(linkage=clustering)
    else:
        subject, same = diarizer(), clustering == "all one"
        subject.clustering = BoundedClustering(lambda e, w: np.arange(len(e)) * (not same))
    labels = len(subject(path, num_speakers=number).labels())
    # The fourth one is a part of a voice: it may be without words of its own.
    assert labels == number if number < 4 else 3 <= labels <= 4
    assert len(subject(path, max_speakers=number).labels()) <= number
    assert len(subject(path, min_speakers=min(number, 3)).labels()) >= min(number, 3)


def test_bounds_of_the_call_replace_those_of_the_configuration(tmp_path: Path) -> None:
    path = write_script(tmp_path / "m.wav", MEETING, 12.0)
    subject = diarizer(num_speakers=1)
    assert len(subject(path).labels()) == 1
    assert len(subject(path, min_speakers=2).labels()) == 3
    with pytest.raises(ConfigError, match="leave one out"):
        subject(path, num_speakers=2, max_speakers=3)


def test_recordings_of_different_numbers_of_speakers(tmp_path: Path) -> None:
    subject = diarizer()
    for number in (3, 1, 0, 2, 3):
        script = [turn for turn in MEETING if turn[2] < number]
        path = write_script(tmp_path / f"{number}.wav", script, 12.0)
        assert found(subject.diarize(path, "m")) == parts(script)


def test_few_are_clustered_and_all_are_assigned(tmp_path: Path) -> None:
    script = [(2.0 * i, 2.0 * i + 1.9, i % 3) for i in range(30)]
    path = write_script(tmp_path / "m.wav", script, 60.0)
    subject = diarizer(max_clustered=20)
    counts = []
    clustering = subject.clustering

    def spy(embeddings, windows, bounds):
        counts.append(len(embeddings))
        assert (np.diff(windows) >= 0).all() and windows[0] < 10 and windows[-1] > 100
        return clustering(embeddings, windows, bounds)

    subject.clustering = spy
    assert found(subject.diarize(path, "m")) == parts(script) and counts == [20]


@pytest.mark.parametrize(
    "name, rate, channels", [("m.wav", 8000, 1), ("m.flac", 44100, 2), ("m.aiff", 48000, 4)]
)
def test_any_rate_and_channels(tmp_path: Path, name: str, rate: int, channels: int) -> None:
    path = write_script(tmp_path / name, MEETING, 12.0, rate, channels)
    assert found(diarizer().diarize(path, "m")) == parts(MEETING)


def write_plda(folder: Path) -> Path:
    """A PLDA of the scripted embeddings: voices are all that varies."""
    folder.mkdir()
    size = 2 * VOICES
    zeros, identity = np.zeros(size), np.eye(size)
    np.savez(folder / "xvec_transform.npz", mean1=zeros, mean2=zeros, lda=identity)
    np.savez(folder / "plda.npz", mu=zeros, tr=3 * identity, psi=np.full(size, 10.0))
    return folder


@pytest.mark.parametrize("number", [None, 1, 2, 3])
def test_vbx(tmp_path: Path, number: int | None) -> None:
    path = write_script(tmp_path / "m.wav", MEETING, 12.0)
    plda = str(write_plda(tmp_path / "plda"))
    subject = diarizer(clustering="vbx", vbx_conf={"plda": plda})
    if number in (None, 3):
        assert found(subject.diarize(path, "m")) == parts(MEETING)
    if number:
        assert len(subject(path, num_speakers=number).labels()) == number
    silent = write_script(tmp_path / "silent.wav", [], 5.0)
    assert len(subject(silent, num_speakers=number)) == 0
    for wrong in ({"depth": 3}, {"plda": plda, "Fa": float("nan")}, {"plda": plda, "Fb": 0}):
        with pytest.raises(ConfigError, match="vbx_conf: .*(depth|Fa|Fb)"):
            diarizer(clustering="vbx", vbx_conf=wrong)


def test_what_a_release_is_run_with(tmp_path: Path) -> None:
    Release(tmp_path, "base")
    assert config_of_release(tmp_path) == InferenceConfig()
    plda = write_plda(tmp_path / "plda")
    for path in (tmp_path, tmp_path / "pytorch_model.bin"):
        config = config_of_release(path)
        assert (config.step, config.median, config.clustering) == (0.2, 11, "vbx")
        assert config.embedding == WESPEAKER and config.vbx_conf == {"threshold": 0.6}
        assert with_companions(config, path).vbx_conf == {"threshold": 0.6, "plda": str(plda)}
    own = InferenceConfig(clustering="vbx", vbx_conf={"plda": "mine"})
    for config in (own, InferenceConfig()):
        assert with_companions(config, tmp_path) == config
    assert with_companions(own, tmp_path / "plda") == own


def test_names(tmp_path: Path) -> None:
    path = write_script(tmp_path / "my  meeting 1.wav", MEETING, 12.0)
    assert diarizer()(path).uri == "my_meeting_1"


def test_audio_that_breaks_off(tmp_path: Path) -> None:
    path = write_script(tmp_path / "m.flac", MEETING, 12.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="truncated or corrupt"):
        diarizer().diarize(path, "m")
    with pytest.raises(DataError, match="found none at"):
        diarizer().diarize(tmp_path / "none.wav", "m")


def test_samples_that_are_no_numbers(tmp_path: Path) -> None:
    samples = np.zeros(64000, dtype=np.float32)
    samples[40000] = np.nan
    soundfile.write(tmp_path / "m.wav", samples, 16000, subtype="FLOAT")
    with pytest.raises(DataError, match="found NaN"):
        diarizer().diarize(tmp_path / "m.wav", "m")
