"""What a ``wav.scp`` names besides files: entries of archives, and commands if they are trusted."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from espnet_prune.data import DataError
from espnet_prune.data.audio import AudioStream, parse_source, read_scp

SAMPLES = {
    name: (3000 * np.random.default_rng(seed).standard_normal((5000, channels))).astype(np.int16)
    for seed, (name, channels) in enumerate({"one": 1, "two": 2}.items())
}


def read(source) -> np.ndarray:
    with AudioStream(source) as audio:
        return audio.read(0, audio.num_samples)


def sources(folder: Path, text: str, commands: bool = False):
    (folder / "wav.scp").write_text(text)
    return read_scp(folder / "wav.scp", partial(parse_source, commands=commands))


@pytest.mark.parametrize("kind", ["wav", "soundfile"])
def test_entries_of_archives(tmp_path: Path, kind: str) -> None:
    table = f"ark,scp:{tmp_path}/a.ark,{tmp_path}/a.scp"
    options = {} if kind == "wav" else {"write_function": "soundfile"}
    with kaldiio.WriteHelper(table, **options) as write:
        for name, samples in SAMPLES.items():
            write[name] = (16000, samples)
    (tmp_path / "c:1").write_bytes(b"")
    text = (tmp_path / "a.scp").read_text()
    found = sources(tmp_path, text + text.replace("one ", "same ark:").split("\n")[0] + "\n")
    assert set(found) == {"one", "two", "same"}
    for name, samples in SAMPLES.items():
        np.testing.assert_allclose(read(found[name]), samples.mean(axis=1) / 32768, atol=1e-6)
    np.testing.assert_array_equal(read(found["same"]), read(found["one"]))


def test_a_file_may_have_a_colon(tmp_path: Path) -> None:
    path = tmp_path / "at 10:30"
    soundfile.write(path, SAMPLES["one"], 16000, format="WAV")
    np.testing.assert_array_equal(read(sources(tmp_path, f"a {path}\n")["a"]), read(path))


def test_commands_run_where_they_are_trusted(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SAMPLES["two"], 16000)
    soundfile.write(tmp_path / "b.flac", SAMPLES["one"], 16000)
    text = f"a cat {tmp_path}/a.wav |\nb cat '{tmp_path}/b.flac' | cat |\nc echo x; exit 3 |\n"
    with pytest.raises(DataError, match="found the command 'cat .*a.wav |'; if you trust"):
        sources(tmp_path, text)
    found = sources(tmp_path, text, commands=True)
    np.testing.assert_array_equal(read(found["a"]), read(tmp_path / "a.wav"))
    np.testing.assert_array_equal(read(found["b"]), read(tmp_path / "b.flac"))
    with pytest.raises(DataError, match="from the command `echo x; exit 3 |`, found the exit stat"):
        read(found["c"])


def test_what_is_no_audio(tmp_path: Path) -> None:
    features = tmp_path / "feats.ark"
    kaldiio.save_ark(str(features), {"a": np.zeros((5, 80), np.float32)})
    hostile = tmp_path / "hostile.ark"
    hostile.write_bytes(b"PKL" + pickle.dumps((16000, np.zeros(9, np.int16))))
    cut = tmp_path / "cut.ark"
    kaldiio.save_ark(str(cut), {"a": (16000, SAMPLES["one"][:, 0])})
    cut.write_bytes(cut.read_bytes()[:30])
    for name, message in {
        f"{features}:2": "expected audio, found .* at .*feats.ark:2",
        f"{hostile}:0": "expected audio, found b'PKL",
        f"{cut}:2": "expected readable audio, found",
        f"{cut}:9999": "expected audio, found b''",
        f"{tmp_path}/none.ark:5": "expected an archive, found none at .*none.ark",
    }.items():
        with pytest.raises(DataError, match=message) as refusal:
            read(sources(tmp_path, f"a {name}\n")["a"])
        assert len(str(refusal.value).splitlines()) == 1
