"""The command diarizes what it is given, goes on after failures, and does not begin in vain."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_prune.bin import diarize
from espnet_prune.data import read_rttm, write_rttm
from espnet_prune.diarization.clustering.vbx import VBxClustering
from espnet_prune.diarization.head import DiarizationConfig, HeadConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.diarization.pipeline import Diarizer, InferenceConfig
from espnet_prune.encoder import Featurizer, SSLEncoder
from tests.diarization.embedding.pyannote_format import random_resnet, write_published
from tests.diarization.scripted import scripted_model, write_script
from tests.formats.diarizen_format import Release

TURNS = [(0.5, 3.0, 0), (3.2, 5.0, 1), (5.5, 7.5, 0)]


def names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "out").iterdir())


def test_files_and_folders(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "audio/deep").mkdir(parents=True)
    first = write_script(tmp_path / "audio/a.wav", TURNS, 8.0)
    write_script(tmp_path / "audio/deep/b.FLAC", TURNS, 8.0, 44100, 2, "FLAC")
    write_script(tmp_path / "audio/.hidden.wav", TURNS, 8.0)
    (tmp_path / "audio/notes.txt").write_text("no audio")
    odd = write_script(tmp_path / "my meeting.audio", TURNS[:1], 8.0, format="WAV")
    silent = write_script(tmp_path / "silent.wav", [], 5.0)
    diarize.main([*command, str(first), f"{tmp_path}/audio", str(odd), str(silent)])
    assert names(tmp_path) == ["a.rttm", "b.rttm", "my_meeting.rttm", "silent.rttm"]
    speakers = {}
    for path in (tmp_path / "out").iterdir():
        turns = read_rttm(path)
        assert list(turns) in ([], [path.stem])
        speakers[path.stem] = [turn.speaker for each in turns.values() for turn in each]
    assert [len(speakers[name]) for name in ("a", "b", "my_meeting", "silent")] == [3, 3, 1, 0]
    assert len(set(speakers["a"])) == 2 and len(set(speakers["my_meeting"])) == 1


def test_finished_files_are_skipped(tmp_path: Path, command: list[str], loaded) -> None:
    path = write_script(tmp_path / "a.wav", TURNS, 8.0)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.rttm").write_text("as it was\n")
    diarize.main([*command, str(path)])
    assert (tmp_path / "out/a.rttm").read_text() == "as it was\n" and not loaded
    other = write_script(tmp_path / "b.wav", TURNS, 8.0)
    diarize.main([*command, str(path), str(other)])
    assert (tmp_path / "out/a.rttm").read_text() == "as it was\n"
    assert len(read_rttm(tmp_path / "out/b.rttm")["b"]) == 3
    diarize.main([*command, str(path), "--redo"])
    assert len(read_rttm(tmp_path / "out/a.rttm")["a"]) == 3 and len(loaded) == 2


def test_failures_do_not_stop_the_others(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.wav").write_text("no audio")
    soundfile.write(tmp_path / "b.wav", np.zeros(0), 16000)
    broken = write_script(tmp_path / "c.flac", TURNS, 8.0)
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    write_script(tmp_path / "d.wav", TURNS, 8.0)
    write_script(tmp_path / "e.wav", TURNS, 8.0)
    run = Diarizer.run

    def out_of_memory(self, source, *rest, **options):
        if source.name == "d":
            raise RuntimeError("out of memory")
        return run(self, source, *rest, **options)

    monkeypatch.setattr(Diarizer, "run", out_of_memory)
    files = sorted(map(str, tmp_path.glob("?.*")))
    with pytest.raises(SystemExit) as ended:
        diarize.main([*command, *files])
    assert ended.value.code == 2
    assert str(ended.value).startswith("diarize: 4 of 5 recording(s) failed:\n")
    for name in ("a.wav: expected readable audio", "b.wav: expected samples", "d.wav: out of"):
        assert f"{tmp_path}/{name}" in str(ended.value)
    assert names(tmp_path) == ["e.rttm"]


def test_files_of_one_name_go_by_their_path(tmp_path: Path, command: list[str]) -> None:
    scripts = {"x/a.wav": 1, "y/deep er/a.wav": 2, "y/a.flac": 3, "y/a.wav": 2, "b.wav": 1}
    for name, number in scripts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_script(tmp_path / name, TURNS[:number], 8.0)
    diarize.main([*command, f"{tmp_path}/x", f"{tmp_path}/y", f"{tmp_path}/b.wav"])
    out = tmp_path / "out"
    counts = {
        str(path.relative_to(out)): len(turns)
        for path in out.rglob("*.rttm")
        for turns in read_rttm(path).values()
    }
    assert counts == {
        "x/a.rttm": 1, "y/deep_er/a.rttm": 2, "y/a.flac.rttm": 3, "y/a.wav.rttm": 2, "b.rttm": 1
    }  # fmt: skip
    assert set(read_rttm(out / "y/deep_er/a.rttm")) == {"y/deep_er/a"}


def test_names_that_no_path_tells_apart(tmp_path: Path, command: list[str], loaded) -> None:
    first = write_script(tmp_path / "a b.wav", TURNS, 8.0)
    second = write_script(tmp_path / "a_b.wav", TURNS, 8.0)
    with pytest.raises(SystemExit, match=r"a b\.wav and .*a_b\.wav, whose results would both be "):
        diarize.main([*command, str(first), str(second)])
    assert not (tmp_path / "out").exists() and not loaded


def test_a_name_that_is_no_text(tmp_path: Path, command: list[str]) -> None:
    path = write_script(tmp_path / "a.wav", TURNS, 8.0)
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    os.rename(path, odd)
    diarize.main([*command, odd])
    assert names(tmp_path) == ["caf\\xe9.rttm"]
    assert set(read_rttm(tmp_path / "out/caf\\xe9.rttm")) == {"caf\\xe9"}


def test_containers_that_need_another_reader_are_told(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setenv("PATH", "")
    for name in ("talk.m4a", "film.MP4", "done.webm"):
        (tmp_path / name).write_bytes(b"\0\0\0\x20ftypM4A ")
    write_script(tmp_path / "done.wav", TURNS, 8.0)
    with pytest.raises(SystemExit) as ended:
        diarize.main([*command, str(tmp_path)])
    assert ended.value.code == 2 and str(ended.value).count("espnet_prune[media]") == 2
    assert names(tmp_path) == ["done.rttm"]


@pytest.mark.parametrize("output", ["file/out", "taken"])
def test_outputs_are_tried_before_the_model_is_loaded(
    tmp_path: Path, command: list[str], loaded, output: str
) -> None:
    path = write_script(tmp_path / "a.wav", TURNS, 8.0)
    (tmp_path / "file").write_text("")
    (tmp_path / "taken").mkdir()
    (tmp_path / "wav.scp").write_text(f"a {path}\n")
    command[command.index("--output") + 1] = f"{tmp_path}/{output}"
    with pytest.raises(SystemExit, match=r"^diarize: .*(folder|directory|exists)"):
        diarize.main([*command, str(tmp_path)])
    if output == "file/out":
        with pytest.raises(SystemExit, match=r"^diarize: .*(directory|exists)"):
            diarize.main([*command, str(path)])
    assert not loaded


class Meetings:
    """A data directory without ``rttm``, of four recordings."""

    def __init__(self, folder: Path, command: list[str]):
        self.folder, self.output = folder, folder / "out/hyp.rttm"
        self.command = [*command, str(folder)]
        self.command[self.command.index("--output") + 1] = str(self.output)
        self.paths = {
            f"m{i}": write_script(folder / f"{i}.flac", TURNS[: 3 - i % 3], 8.0) for i in range(4)
        }
        (folder / "wav.scp").write_text(
            "".join(f"{name} {path}\n" for name, path in reversed(self.paths.items()))
        )

    def run(self, *options: str) -> None:
        diarize.main([*self.command, *options])

    def left(self) -> list[str]:
        return sorted(path.name for path in self.output.parent.iterdir())


@pytest.fixture
def diarized(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The recordings that were diarized so far."""
    names: list[str] = []
    inside = Diarizer.run

    def spy(self, source, recording, *rest, **options):
        names.append(recording)
        return inside(self, source, recording, *rest, **options)

    monkeypatch.setattr(Diarizer, "run", spy)
    return names


@pytest.mark.parametrize("nj", [1, 3])
def test_a_damaged_recording_costs_no_other(
    tmp_path: Path, command: list[str], diarized: list[str], loaded, nj: int
) -> None:
    meetings = Meetings(tmp_path, [*command, "--nj", str(nj)])
    meetings.run()
    expected = meetings.output.read_bytes()
    whole = Diarizer(scripted_model(), InferenceConfig(step=0.5))
    turns = {name: whole.diarize(path, name) for name, path in meetings.paths.items()}
    write_rttm(tmp_path / "direct.rttm", turns)
    assert expected == (tmp_path / "direct.rttm").read_bytes()
    assert meetings.left() == ["hyp.rttm"]

    meetings.output.unlink()
    good = meetings.paths["m1"].read_bytes()
    meetings.paths["m1"].write_bytes(good[: len(good) // 2])
    with pytest.raises(SystemExit) as ended:
        meetings.run()
    assert ended.value.code == 2
    assert str(ended.value).startswith("diarize: 1 of 4 recording(s) failed:\n")
    assert "1.flac: expected" in str(ended.value)
    assert not meetings.output.exists()
    diarized.clear()
    meetings.paths["m1"].write_bytes(good)
    meetings.run()
    assert diarized == ["m1"] and meetings.output.read_bytes() == expected
    assert meetings.left() == ["hyp.rttm"]


@pytest.mark.parametrize("change", ["config", "option", "model", "audio", "path", "nothing"])
def test_only_what_is_the_same_is_gone_on_from(
    tmp_path: Path, command: list[str], diarized: list[str], loaded, change: str
) -> None:
    meetings = Meetings(tmp_path, command)
    other = tmp_path / "3.copy"
    other.write_bytes(meetings.paths["m3"].read_bytes())
    meetings.paths["m0"].write_bytes(b"")
    with pytest.raises(SystemExit):
        meetings.run()
    diarized.clear()
    if change == "config":
        (tmp_path / "decode.yaml").write_text("step: 0.4\n")
    elif change == "model":
        (tmp_path / "model/weights").write_text("other")
    elif change == "audio":
        write_script(meetings.paths["m3"], TURNS[:2], 9.0)
    elif change == "path":
        scp = tmp_path / "wav.scp"
        scp.write_text(scp.read_text().replace("3.flac", "3.copy"))
    with pytest.raises(SystemExit):
        meetings.run(*["--num_speakers", "1"] * (change == "option"))
    again = {"nothing": ["m0"], "audio": ["m0", "m3"], "path": ["m0", "m3"]}
    assert sorted(diarized) == again.get(change, ["m0", "m1", "m2", "m3"])


def test_parts_make_the_whole(tmp_path: Path, command: list[str], diarized: list[str]) -> None:
    meetings = Meetings(tmp_path, command)
    meetings.run()
    expected = meetings.output.read_bytes()
    meetings.output.unlink()
    shares = []
    for part in ("1/3", "2/3", "3/3", "1/3"):
        diarized.clear()
        meetings.run("--part", part)
        shares.append(sorted(diarized))
        assert not meetings.output.exists()
    assert sorted(itertools.chain(*shares)) == ["m0", "m1", "m2", "m3"]
    assert [len(share) for share in shares] == [2, 1, 1, 0]
    diarized.clear()
    meetings.run()
    assert not diarized and meetings.output.read_bytes() == expected
    assert meetings.left() == ["hyp.rttm"]


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "1/", "x/2", "-1/2"])
def test_parts_that_are_none(command: list[str], part: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        diarize.main([*command, "a.wav", f"--part={part}"])
    assert ended.value.code == 2 and "expected a share such as 1/4" in capsys.readouterr().err


def test_what_is_not_there(tmp_path: Path, command: list[str]) -> None:
    with pytest.raises(SystemExit, match="expected audio, found none at .*nowhere"):
        diarize.main([*command, f"{tmp_path}/nowhere.wav"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match=r"expected audio in .*empty, found no \.aif"):
        diarize.main([*command, f"{tmp_path}/empty"])


def test_a_device_that_is_not_there(tmp_path: Path, command: list[str], loaded) -> None:
    path = write_script(tmp_path / "a.wav", TURNS, 8.0)
    with pytest.raises(SystemExit, match="diarize: expected a device .*found toaster") as ended:
        diarize.main([*command, str(path), "--device", "toaster"])
    assert ended.value.code == 2 and not loaded


def test_nothing_is_imported_that_adds_nothing_to_the_result(tmp_path: Path) -> None:
    model = DiarizationModel(
        Featurizer(SSLEncoder.from_pretrained("whisper_tiny_en")),
        DiarizationConfig(window_size=2.0, head=HeadConfig(16, 1, 2, 32, 5)),
    )
    model.save_pretrained(tmp_path / "model")
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 64000), 16000)
    words = [f"{tmp_path}/model", f"{tmp_path}/a.wav", "--output", f"{tmp_path}/out"]
    code = (
        "import sys\n"
        "from espnet_prune.bin import diarize\n"
        f"diarize.main({[*words, '--device', 'cpu']})\n"
        "unused = {'sklearn', 'matplotlib', 'pyannote.core', 'scipy.stats', 'torch._dynamo'}\n"
        "unused |= {'sympy'}  # of torch's, for shapes without memory\n"
        "assert not unused & {*sys.modules}, unused & {*sys.modules}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    assert names(tmp_path) == ["a.rttm"]


def test_numbers_of_speakers_replace_those_of_the_configuration(
    tmp_path: Path, command: list[str], loaded
) -> None:
    path = write_script(tmp_path / "a.wav", TURNS, 8.0)
    (tmp_path / "decode.yaml").write_text("step: 0.5\nnum_speakers: 2\n")
    diarize.main([*command, str(path), "--max_speakers", "1"])
    (turns,) = read_rttm(tmp_path / "out/a.rttm").values()
    assert len({turn.speaker for turn in turns}) == 1
    assert (loaded[0].num_speakers, loaded[0].max_speakers, loaded[0].step) == (None, 1, 0.5)
    with pytest.raises(SystemExit, match="leave one out"):
        diarize.main([*command, str(path), "--redo", "--num_speakers", "2", "--min_speakers", "1"])


@pytest.fixture
def release(tmp_path: Path) -> Release:
    (tmp_path / "release").mkdir()
    return Release(tmp_path / "release", "base")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    samples = np.random.default_rng(0).standard_normal((7 * 16000, 2)) * 0.1
    samples *= np.repeat(np.random.default_rng(1).random(28), 4000)[:, None]
    soundfile.write(tmp_path / "meeting.flac", samples, 16000)
    return tmp_path / "meeting.flac"


def test_a_release_of_diarizen(release: Release, recording: Path, tmp_path: Path) -> None:
    options = ["--output", f"{tmp_path}/out", "--device", "cpu"]
    diarize.main([str(release.folder), str(recording), *options])
    turns = read_rttm(tmp_path / "out/meeting.rttm")["meeting"]
    assert len(turns) > 1 and max(turn.end for turn in turns) <= 7.0


def test_a_release_as_its_authors_run_it(
    release: Release, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plda_of_size(release.folder / "plda", 256)
    (tmp_path / "voices").mkdir()
    state = {f"resnet.{key}": value for key, value in random_resnet().state_dict().items()}
    write_published(tmp_path / "voices/pytorch_model.bin", state)
    (tmp_path / "decode.yaml").write_text(f"embedding: {tmp_path}/voices\n")
    clustered = []
    inside = VBxClustering.__call__

    def spy(self, embeddings, windows):
        clustered.append(embeddings.shape)
        return inside(self, embeddings, windows)

    monkeypatch.setattr(VBxClustering, "__call__", spy)
    command = [str(release.folder), str(recording), "--output", f"{tmp_path}/out"]
    command += ["--device", "cpu", "--config", f"{tmp_path}/decode.yaml"]
    diarize.main(command)
    assert read_rttm(tmp_path / "out/meeting.rttm")["meeting"]
    ((number, size),) = clustered
    assert number > 10 and size == 256
    # Without the embeddings that the PLDA is of, there is one message.
    (tmp_path / "decode.yaml").write_text("embedding: ssl\n")
    with pytest.raises(SystemExit, match="expected speaker embeddings of size 256"):
        diarize.main([*command, "--redo"])


def write_plda_of_size(folder: Path, size: int) -> None:
    """A PLDA that says that all directions tell as much about the speaker as about the rest."""
    folder.mkdir()
    zeros, identity = np.zeros(size), np.eye(size)
    np.savez(folder / "xvec_transform.npz", mean1=zeros, mean2=zeros, lda=identity)
    np.savez(folder / "plda.npz", mu=zeros, tr=identity, psi=np.ones(size))
