"""s3prl's own diarization works from end to end; the launcher runs commands as Python does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("s3prl")

import numpy as np

from s3prl_plugin import run

_ROOT = Path(run.__file__).parents[1]
_RATE = 16000
_COMMAND = """
import json, sys
import sibling
from s3prl import hub
assert __name__ == "__main__"
json.dump([sys.argv, hasattr(hub, "pruned_wavlm"), sibling.VALUE], open(sys.argv[-1], "w"))
"""


@pytest.fixture
def command(tmp_path, monkeypatch) -> Path:
    """A script that records how it was run, beside a module that it imports."""
    monkeypatch.setattr(sys, "argv", ["pytest"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "sibling", raising=False)
    (tmp_path / "sibling.py").write_text("VALUE = 7\n")
    path = tmp_path / "command.py"
    path.write_text(_COMMAND)
    return path


def test_a_script_gets_its_arguments_and_its_folder(command, tmp_path):
    out = str(tmp_path / "out.json")
    run.main([str(command), "-m", "train", "--help", out])
    assert json.loads(Path(out).read_text()) == [
        [str(command), "-m", "train", "--help", out],
        True,
        7,
    ]


def test_a_module_gets_its_arguments(command, tmp_path):
    sys.path.insert(0, str(tmp_path))
    out = str(tmp_path / "out.json")
    run.main(["-m", "command", "-m", "train", "-u", "pruned_wavlm", out])
    argv, registered, _ = json.loads(Path(out).read_text())
    assert argv == [str(command), "-m", "train", "-u", "pruned_wavlm", out] and registered


def test_help_names_the_use(capsys):
    with pytest.raises(SystemExit, match="0"):
        run.main(["--help"])
    assert "-m s3prl.run_downstream -m train" in " ".join(capsys.readouterr().out.split())


def _write_set(folder: Path, names: list[str], generator: np.random.Generator) -> None:
    """Two-second recordings of two alternating tones, as s3prl's diarization reads them."""
    soundfile = pytest.importorskip("soundfile")
    folder.mkdir(parents=True)
    lines: dict[str, list[str]] = {k: [] for k in ("wav.scp", "segments", "utt2spk", "reco2dur")}
    times = np.arange(2 * _RATE) / _RATE
    for name in names:
        change = round(float(generator.uniform(0.6, 1.4)), 2)
        wav = np.where(times < change, np.sin(1000 * times), np.sin(3000 * times))
        path = folder / f"{name}.wav"
        soundfile.write(path, 0.3 * wav + 0.01 * generator.standard_normal(len(wav)), _RATE)
        lines["wav.scp"].append(f"{name} {path}")
        lines["reco2dur"].append(f"{name} 2.0")
        for speaker, start, end in (("low", 0.0, change), ("tall", change, 2.0)):
            utterance = f"{speaker}-{name}"
            lines["segments"].append(f"{utterance} {name} {start} {end}")
            lines["utt2spk"].append(f"{utterance} {speaker}")
    for file, content in lines.items():
        (folder / file).write_text("\n".join(content) + "\n")


def _config(data: Path) -> dict:
    return {
        "runner": {
            "total_steps": 6,
            "gradient_clipping": 1,
            "gradient_accumulate_steps": 1,
            "log_step": 3,
            "eval_step": 6,
            "save_step": 6,
            "max_keep": 1,
            "eval_dataloaders": ["dev"],
        },
        "optimizer": {"name": "TorchOptim", "torch_optim_name": "Adam", "lr": 0.01},
        "downstream_expert": {
            "datarc": {"chunk_size": 50, "num_speakers": 2, "rate": _RATE, "frame_shift": None},
            "loaderrc": {
                "num_workers": 0,
                "train_batchsize": 4,
                "eval_batchsize": 1,
                **{f"{split}_dir": str(data / split) for split in ("train", "dev", "test")},
            },
            "scorerc": {"save_predictions": True},
            "modelrc": {"rnn_layers": 1, "hidden_size": 8},
        },
    }


def _run_downstream(tmp_path: Path, *arguments: str) -> str:
    # Without ESPnet s3prl starts in a quarter of the time, and nothing here needs it.
    (tmp_path / "espnet2.py").write_text("raise ModuleNotFoundError('espnet2')\n")
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(_ROOT)]),
    }
    command = [sys.executable, "-m", "s3prl.run_downstream"]
    result = subprocess.run(
        [*command, *arguments, "--device", "cpu"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def test_diarization_trains_and_evaluates(large_folder, tmp_path):
    h5py = pytest.importorskip("h5py")
    generator = np.random.default_rng(0)
    names = [f"rec{index:02d}" for index in range(12)]
    for split, chosen in (("train", names[:8]), ("dev", names[8:10]), ("test", names[10:])):
        _write_set(tmp_path / "data" / split, chosen, generator)
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(_config(tmp_path / "data")))  # JSON is YAML
    exp = tmp_path / "exp"

    upstream = ["-u", "pruned_wavlm", "-k", str(large_folder), "-f"]
    task = ["-d", "diarization", "-c", str(config), "-p", str(exp)]
    trained = _run_downstream(tmp_path, "-m", "train", *upstream, *task)
    assert "mode dev acc" in trained
    assert (exp / "frame_shift").read_text().strip() == "320"

    evaluated = _run_downstream(tmp_path, "-m", "evaluate", "-e", str(exp / "states-6.ckpt"))
    assert "mode test acc" in evaluated
    for name in names[10:]:
        with h5py.File(exp / "scoring" / "predictions" / f"{name}.h5") as file:
            prediction = file["T_hat"][:]
        assert prediction.shape == (100, 2) and np.isfinite(prediction).all()
