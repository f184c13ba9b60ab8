"""Simulated conversations: reproducible, with references where energy is, of one corpus each."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile

from egs2.mini_meeting.diar_prune1.local.simulation.acoustics import open_room, record
from egs2.mini_meeting.diar_prune1.local.simulation.conversation import Spoken
from egs2.mini_meeting.diar_prune1.local.simulation.corpus import (
    FRAME,
    MAX_PAUSE,
    read_utterance,
    speech_frames,
    stretches,
)
from egs2.mini_meeting.diar_prune1.local.simulation.simulate import RECORD
from egs2.mini_meeting.diar_prune1.local.simulation.simulate_conversations import main
from egs2.mini_meeting.diar_prune1.local.simulation.voice import Clip, Voice
from espnet_prune.data import check_data_dir, read_data_dir
from tests.egs2.simulation.speech import RATE, utterance, write_corpus

CONF = Path(__file__).parents[3] / "egs2/mini_meeting/diar_prune1/conf/turn_taking.yaml"


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    return write_corpus(folder / "a", 5), write_corpus(folder / "b", 4)


def run(output: Path, *sources: str, **options: object) -> Path:
    options = {"turn_taking": CONF, "recordings": 6, "duration": "12 16", **options}
    words = [w for key, value in options.items() for w in (f"--{key}", *str(value).split())]
    main([*sources, "--output", str(output), *words])
    return output


@pytest.fixture(scope="module")
def simulated(corpora, tmp_path_factory):
    first, second = corpora
    return run(tmp_path_factory.mktemp("out") / "set", f"a={first}", f"b={second}")


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "wav.scp")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_seed_decides_and_the_number_of_processes_does_not(simulated, corpora, tmp_path):
    sources = [f"{name}={path}" for name, path in zip("ab", corpora, strict=True)]
    again = contents(run(tmp_path / "set", *sources, nj=2, snr="20 20"))
    reference = contents(simulated)
    assert {n: again[n] for n in ("rttm", "uem")} == {n: reference[n] for n in ("rttm", "uem")}
    # An earlier set is replaced, here by one that differs in nothing.
    assert contents(run(tmp_path / "set", *sources, nj=2)) == reference
    assert contents(run(tmp_path / "set", *sources, seed=1))["rttm"] != reference["rttm"]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_set_is_a_data_directory_of_one_corpus_per_recording(simulated):
    statistics = check_data_dir(simulated)
    assert (statistics.recordings, statistics.speakers) == (6, 9)
    data = read_data_dir(simulated)
    speakers = [{turn.speaker for turn in data.turns[name]} for name in sorted(data.wavs)]
    assert [len(own) for own in speakers] == [2, 3, 4, 2, 3, 4]
    corpora = [{speaker.partition("-")[0] for speaker in own} for own in speakers]
    assert all(len(own) == 1 for own in corpora) and len(set.union(*corpora)) == 2
    tables = {
        name: dict(line.split(None, 1) for line in (simulated / name).read_text().splitlines())
        for name in ("segments", "utt2spk", "reco2dur")
    }
    rows = sorted((r.split()[0], float(r.split()[1])) for r in tables["segments"].values())
    own = sorted((name, turn.start) for name, turns in data.turns.items() for turn in turns)
    assert rows == [(name, pytest.approx(start)) for name, start in own]
    assert tables["utt2spk"].keys() == tables["segments"].keys()
    assert soundfile.info(data.wavs["set_000"]).subtype == "PCM_16"
    assert json.loads((simulated / RECORD).read_text())["found"]["recordings"] == 6


def test_reference_turns_are_where_energy_is(simulated):
    data = read_data_dir(simulated)
    for name, wav in data.wavs.items():
        wave, _ = soundfile.read(wav)
        energy = np.mean(wave[: len(wave) // FRAME * FRAME].reshape(-1, FRAME) ** 2, axis=1)
        spoken = np.zeros(len(energy), dtype=bool)
        for turn in data.turns[name]:
            first, stop = round(100 * turn.start), round(100 * turn.end)
            spoken[first:stop] = True
            # Silence at the ends is none of the turn, and no inner pause is longer than 0.5 s.
            assert energy[first] > 1e-5 and energy[stop - 1] > 1e-5
        silent = [b - a for a, b in stretches((energy < 1e-5) & spoken)]
        assert max(silent, default=0) <= MAX_PAUSE
        assert energy[~spoken].max() < 1e-5


def test_speech_is_found_relative_to_the_level_of_the_utterance():
    rng = np.random.default_rng(0)
    wave = utterance(rng, 0.5, 1.0, 0.3, 0.7, 0.5)
    wave[2000:2100] = 1  # a click is no speech
    expected = [(50, 150), (180, 250)]
    for gain, noise in ((1, 0), (0.01, 0), (1, 0.005), (0.05, 0.0002)):
        noisy = gain * wave + noise * rng.standard_normal(len(wave))
        frames = noisy[: len(noisy) // FRAME * FRAME].reshape(-1, FRAME)
        energy = 10 * np.log10(np.mean(frames**2, axis=1))
        assert stretches(speech_frames(energy)) == expected
    assert not speech_frames(np.full(50, -120.0)).any()
    assert len(speech_frames(np.zeros(0))) == 0


def test_a_voice_says_about_as_much_as_is_asked_for(corpora):
    paths = [str(path) for path in sorted(corpora[0].glob("s00-*.flac"))]
    voice = Voice("s00", paths, np.random.default_rng(0))
    asked = [30, 100, 250, 60, 900, 40]
    said = [voice.say(frames) for frames in asked]
    assert [clip.length for clip in said] == pytest.approx(asked, rel=0.35, abs=30)
    for clip in said:
        assert len(clip.wave) % FRAME == 0 and clip.stop * FRAME <= len(clip.wave)
        power = np.mean(clip.wave.reshape(-1, FRAME)[clip.first : clip.stop] ** 2)
        assert 0.5 < power < 1.5


@pytest.mark.parametrize("speed", [0.9, 1.0, 1.1])
def test_speed_makes_another_voice(tmp_path, speed):
    time = np.arange(2 * RATE) / RATE
    soundfile.write(tmp_path / "a.wav", 0.1 * np.sin(2 * np.pi * 400 * time), RATE)
    wave = read_utterance(str(tmp_path / "a.wav"), speed).wave
    assert len(wave) == pytest.approx(2 * RATE / speed, abs=FRAME)
    loudest = np.abs(np.fft.rfft(wave)).argmax() * RATE / len(wave)
    assert loudest == pytest.approx(400 * speed, abs=1)


def write_sofa(path: Path, rate: float, directions: int = 4) -> Path:
    rng = np.random.default_rng(0)
    responses = rng.standard_normal((directions, 2, 800)) * np.exp(-np.arange(800) / 100)
    responses[..., :40] = 0
    responses[..., 40] = 5
    with h5py.File(path, "w") as file:
        file["Data.IR"] = responses
        file["Data.SamplingRate"] = [rate]
    return path


@pytest.mark.parametrize("kind", ["shoebox", "sofa"])
def test_rooms_keep_turns_where_they_are(tmp_path, kind):
    if kind == "shoebox":
        pytest.importorskip("pyroomacoustics")
    room = open_room(kind if kind == "shoebox" else str(write_sofa(tmp_path / "r.sofa", RATE)))
    voices = [Voice(name, [], np.random.default_rng(0)) for name in "ab"]
    click = np.zeros(FRAME)
    click[0] = 1
    turns = [Spoken(v, at, Clip(click, 0, 1)) for v, at in zip(voices, (50, 300), strict=True)]
    wave = record(np.random.default_rng(1), turns, 6 * RATE, 0.0, room)
    assert np.argmax(np.abs(wave[: 2 * RATE])) == 50 * FRAME
    assert 2 * RATE + np.argmax(np.abs(wave[2 * RATE :])) == 300 * FRAME
    assert not np.abs(wave[: 50 * FRAME]).max() > 1e-9
    assert np.abs(wave[50 * FRAME + 1 : RATE]).max() > 0
    assert np.array_equal(wave, record(np.random.default_rng(1), turns, 6 * RATE, 0.0, room))


def test_noise_is_as_loud_as_asked_for():
    speech = np.random.default_rng(0).standard_normal(RATE)
    turn = Spoken(Voice("a", [], np.random.default_rng(0)), 100, Clip(speech, 0, 100))
    wave = record(np.random.default_rng(1), [turn], 3 * RATE, 3.0, snr_db=(20.0, 20.0))
    noise, both = np.mean(wave[2 * RATE :] ** 2), np.mean(wave[RATE : 2 * RATE] ** 2)
    assert 10 * np.log10(both / noise - 1) == pytest.approx(20, abs=1)


def refused(capsys, tmp_path, *sources: str, **options: object) -> str:
    with pytest.raises(SystemExit) as stop:
        run(tmp_path / "out" / "set", *sources, **options)
    assert stop.value.code == 2
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
    message = capsys.readouterr().err.strip().splitlines()
    assert len(message) == 1
    return message[0]


def test_bad_corpora_are_one_line(capsys, tmp_path, corpora, simulated):
    first, second = corpora
    one = write_corpus(tmp_path / "one", 1)
    message = refused(capsys, tmp_path, f"a={first}", f"one={one}", num_speakers=2)
    assert "one: expected 2 speakers or more for one recording, found 1" in message
    short = write_corpus(tmp_path / "short", 2, seconds=-0.0, utterances=1)
    for path in short.glob("*.flac"):
        soundfile.write(path, np.full(2000, 0.1), RATE)
    message = refused(capsys, tmp_path, f"short={short}", num_speakers=2)
    assert "short: expected utterances of 0.25 s or longer, found none among 2" in message
    for path in short.glob("*.flac"):
        soundfile.write(path, np.zeros(RATE), RATE)
    message = refused(capsys, tmp_path, f"short={short}", num_speakers=2)
    assert "expected speech of 0.25 s or more in a row, found none in 1 utterance(s)" in message
    message = refused(capsys, tmp_path, f"a={first}", f"a={second}")
    assert "expected corpora of different names, found a twice" in message
    message = refused(capsys, tmp_path, f"a={first}", disjoint_from=simulated)
    assert f"expected no speaker of {simulated}, found 5, the first a-s00" in message
    path = next(first.glob("s04-*.flac"))
    table = (first / "wav.scp").read_text().replace(str(path), str(CONF))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "wav.scp").write_text(table)
    (broken / "utt2spk").write_text((first / "utt2spk").read_text())
    assert "expected readable audio" in refused(capsys, tmp_path, f"a={broken}")


def test_bad_options_are_one_line(capsys, tmp_path, corpora):
    source = f"a={corpora[0]}"
    sofa = write_sofa(tmp_path / "r.sofa", 44100)
    message = refused(capsys, tmp_path, source, rooms=sofa)
    assert f"{sofa}: expected impulse responses of 16000 Hz, found 44100 Hz" in message
    message = refused(capsys, tmp_path, source, rooms=write_sofa(tmp_path / "r.sofa", RATE, 3))
    assert "expected a SOFA file of 4 directions or more" in message
    assert "expected a SOFA file" in refused(capsys, tmp_path, source, rooms=CONF)
    assert "3 s or more for each of 4 speakers" in refused(capsys, tmp_path, source, duration="9 9")
    assert "snr_db: expected -100 to 100" in refused(capsys, tmp_path, source, snr="9 -9")
    assert "speeds: expected 0.5 to 2" in refused(
        capsys, tmp_path, source, speed_perturb_factors="1 9"
    )
    assert "recordings: expected" in refused(capsys, tmp_path, source, recordings=10**30)
    assert "expected a suffix" in refused(capsys, tmp_path, source, plot=tmp_path / "a.doc")


def test_folders_of_others_are_left_alone(capsys, tmp_path, corpora):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/mine").touch()
    with pytest.raises(SystemExit):
        run(tmp_path / "set", f"a={corpora[0]}")
    assert "expected a new or empty folder" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["mine"]


def test_what_a_killed_run_left_is_swept(tmp_path, corpora):
    (tmp_path / ".set.abcdefgh.tmp/new/audio").mkdir(parents=True)
    run(tmp_path / "set", f"a={corpora[0]}", recordings=1)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_statistics_are_printed_and_plotted(capsys, tmp_path, corpora):
    plot = tmp_path / "plot.png"
    run(tmp_path / "set", f"a={corpora[0]}", recordings=1, plot=plot)
    assert f"| target | {tmp_path / 'set'} |" in capsys.readouterr().out
    assert plot.read_bytes().startswith(b"\x89PNG")
