"""The command's formats, channels, counts, voices and pipes, as its page has them; bad input."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_prune.bin import diarize
from espnet_prune.data import read_rttm
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.diarization.voices import load_voices
from tests.diarization.scripted import scripted_model, write_script

TURNS = [(0.5, 3.0, 0), (3.2, 5.0, 1), (5.5, 7.5, 0)]


@pytest.fixture
def meeting(tmp_path: Path) -> Path:
    return write_script(tmp_path / "m.wav", TURNS, 8.0)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out").iterdir())


def table(folder: Path, *lines: str) -> None:
    (folder / "wav.scp").write_text("".join(f"{line}\n" for line in lines))


def refused(*arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        diarize.main([*arguments])
    assert ended.value.code == 2
    return str(ended.value)


def test_formats(tmp_path: Path, command, loaded, meeting) -> None:
    diarize.main([*command, str(meeting), "--format", "json", "srt"])
    assert names(tmp_path) == ["m.json", "m.srt"]
    turns = json.loads((tmp_path / "out/m.json").read_text())["turns"]
    assert [turn["speaker"] for turn in turns] == ["spk0", "spk1", "spk0"]
    diarize.main([*command, str(meeting), "--format", "json"])
    assert len(loaded) == 1  # it was there
    diarize.main([*command, str(meeting), "--format", "json", "rttm"])
    assert names(tmp_path) == ["m.json", "m.rttm", "m.srt"] and len(loaded) == 2


def test_the_suffix_of_one_file_chooses(tmp_path: Path, command, meeting) -> None:
    command[command.index("--output") + 1] = f"{tmp_path}/out/talk.vtt"
    diarize.main([*command, str(meeting)])
    assert (tmp_path / "out/talk.vtt").read_text().startswith("WEBVTT")
    message = refused(*command, str(meeting), str(write_script(tmp_path / "n.wav", [], 2.0)))
    assert "expected a folder for 2 recordings, found the file" in message


def test_formats_of_a_data_directory(tmp_path: Path, command, meeting) -> None:
    table(tmp_path, f"a {meeting}", f"b {meeting}")
    diarize.main([*command, str(tmp_path), "--format", "csv", "rttm"])
    assert names(tmp_path) == ["a.csv", "a.rttm", "b.csv", "b.rttm"]
    message = refused(*command, str(tmp_path), "--output", f"{tmp_path}/x.srt")
    assert "expected an RTTM file for a data directory, found" in message
    table(tmp_path, f"../a {meeting}")
    assert "found the path '../a'" in refused(*command, str(tmp_path), "--format", "csv")


def test_channels_are_recordings(tmp_path: Path, command) -> None:
    sides = [write_script(tmp_path / f"{i}.wav", TURNS[i : i + 1], 8.0) for i in range(2)]
    samples = np.stack([soundfile.read(side)[0] for side in sides], axis=1)
    soundfile.write(tmp_path / "both.wav", samples, 16000, subtype="PCM_24")
    (tmp_path / "damaged.wav").write_bytes(b"")
    message = refused(*command, f"{tmp_path}/both.wav", f"{tmp_path}/damaged.wav", "--each_channel")
    assert "diarize: 1 of 3 recording(s) failed" in message
    assert names(tmp_path) == ["both_ch0.rttm", "both_ch1.rttm"]
    for channel, (start, end, _) in enumerate(TURNS[:2]):
        (turn,) = read_rttm(tmp_path / f"out/both_ch{channel}.rttm")[f"both_ch{channel}"]
        assert (turn.start, turn.end) == pytest.approx((start, end), abs=0.01)


def test_standard_input(tmp_path: Path, command, meeting, monkeypatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(meeting.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    diarize.main([*command, "-"])
    assert len(read_rttm(tmp_path / "out/stdin.rttm")["stdin"]) == 3
    assert "found standard input; save it" in refused(*command, "-", "--each_channel")


def test_a_number_of_speakers_for_each(tmp_path: Path, command, meeting) -> None:
    table(tmp_path, f"a {meeting}", f"b {meeting}")
    command[command.index("--output") + 1] = f"{tmp_path}/hyp"
    counts = tmp_path / "reco2num_spk"
    command += [str(tmp_path), "--reco2num_spk", str(counts)]
    for numbers in ({"a": 1, "b": 2}, {"a": 2, "b": 1}):
        counts.write_text("".join(f"{name} {number}\n" for name, number in numbers.items()))
        diarize.main(command)
        found = read_rttm(tmp_path / "hyp")
        assert {name: len({t.speaker for t in found[name]}) for name in found} == numbers
    for text, message in {
        "a 1\n": "reco2num_spk: expected the recording 'b', found a; choose",
        "": "reco2num_spk: expected the recording 'a', found none",
        "a 1\nb 0\n": "reco2num_spk:2: expected a number of speakers, 1 or more, found '0'",
        "a 1\na 2\n": "expected unique recordings, found a already in line 1",
    }.items():
        counts.write_text(text)
        assert message in refused(*command)


def test_voices_out_and_in(tmp_path: Path, command, meeting) -> None:
    command += [str(meeting)]
    diarize.main([*command, "--save_embeddings", f"{tmp_path}/voices"])
    voices = load_voices(tmp_path / "voices/m.npz")
    assert [*voices] == ["spk0", "spk1"]
    np.savez(tmp_path / "known.npz", Alice=voices["spk1"])
    (tmp_path / "known").mkdir()
    write_script(tmp_path / "known/Bo.wav", [(0.2, 2.0, TURNS[1][2])], 2.5)
    for known, name in (("known.npz", "Alice"), ("known", "Bo")):
        diarize.main([*command, "--redo", "--voices", f"{tmp_path}/{known}"])
        found = read_rttm(tmp_path / "out/m.rttm")["m"]
        assert [turn.speaker for turn in found] == ["spk0", name, "spk0"]
    message = refused(*command, "--redo", "--voices", f"{tmp_path}/m.wav")
    assert "expected an NPZ file of voices, found something else" in message
    np.savez(tmp_path / "known.npz", Alice=np.ones(3))
    message = refused(*command, "--redo", "--voices", f"{tmp_path}/known.npz")
    assert "found 3 of 'Alice'; make them with the same model" in message


def test_commands_of_wav_scp(tmp_path: Path, command, meeting) -> None:
    table(tmp_path, f"a cat {meeting} |")
    command[command.index("--output") + 1] = f"{tmp_path}/hyp"
    assert "have its commands run with --run_commands" in refused(*command, str(tmp_path))
    diarize.main([*command, str(tmp_path), "--run_commands"])
    assert len(read_rttm(tmp_path / "hyp")["a"]) == 3


def test_exclusive_turns_and_options(tmp_path: Path, command, loaded, meeting) -> None:
    options = ["--exclusive", "--min_duration", "0.3", "--min_gap", "0.1"]
    diarize.main([*command, str(meeting), *options])
    config = loaded[0]
    assert (config.exclusive, config.min_duration, config.min_gap) == (True, 0.3, 0.1)
    diarize.main([*command, str(meeting), "--redo"])
    assert not loaded[1].exclusive


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("- step: 1\n- x\n", "1.yaml: expected values by name, found a list, .*; write each"),
        ("embedding: camplus\n", "expected an embedding of ssl, .*'camplus' .did you mean 'campp"),
        ("min_gap: -1\n", "1.yaml: expected a min_gap from 0 to 3600, found -1"),
        ("num_speakers: 0\n", "1.yaml: expected 1 speaker or more, found num_speakers 0"),
        (None, "1.yaml: expected a YAML file, found none: No such file or directory; correct"),
    ],
)
def test_configurations(tmp_path: Path, monkeypatch, meeting, written, message) -> None:
    monkeypatch.setattr(DiarizationModel, "from_pretrained", lambda _: scripted_model())
    (tmp_path / "model").mkdir()
    if written:
        (tmp_path / "1.yaml").write_text(written)
    arguments = [f"{tmp_path}/model", str(meeting), "--output", f"{tmp_path}/out"]
    found = refused(*arguments, "--config", f"{tmp_path}/1.yaml", "--device", "cpu")
    assert re.search(message, found) and len(found.splitlines()) == 1


def test_help_and_options_tell_the_choices(capsys) -> None:
    with pytest.raises(SystemExit):
        diarize.main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "--precision {float32,bfloat16,float16,int8}" in shown and "textgrid" in shown
    for option, value in {"--num_speakers": "0", "--min_gap": "-1", "--precision": "int4"}.items():
        with pytest.raises(SystemExit):
            diarize.main(["model", "a.wav", "--output", "x", option, value])
        assert f"argument {option}: " in capsys.readouterr().err


PAGE = Path(__file__).parents[2] / "docs/places/python_and_files.md"
COMMANDS = re.findall(r"^    .*?espnet-prune diarize (.*)$", PAGE.read_text(), re.MULTILINE)


def test_the_commands_of_the_page(tmp_path: Path, loaded, meeting, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = meeting.rename("meeting.wav").read_bytes()
    for name in ("call.wav", "film.m4a", "enrolled/Alice.wav"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(data)
    for folder in ("exp/pruned", "data"):
        Path(folder).mkdir(parents=True)
    table(Path("data"), "a meeting.wav")
    assert len(COMMANDS) == 9
    for command in COMMANDS:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        diarize.main([*shlex.split(command, comments=True), "--device", "cpu"])
    assert names(tmp_path) == [
        "call.rttm", "call_ch0.csv", "film.TextGrid", "film.json", "film.rttm",
        "meeting.TextGrid", "meeting.json", "meeting.rttm", "stdin.rttm",
    ]  # fmt: skip
    assert Path("meeting.srt").exists() and Path("hyp.rttm").exists()
    assert "Alice" in Path("out/call.rttm").read_text()
