"""Rows of hostile files: nothing in them runs, and each is refused in words within its limits."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from espnet_prune.formats.diarizen import _MODEL
from espnet_prune.formats.pickles import REPORTED, load_pickle
from tests.drill import inputs
from tests.drill.forked import forked
from tests.drill.recipe import Reference
from tests.drill.rows import Row

_SECONDS, _LINES = 30, 12


class Hostile(NamedTuple):
    """A file that means harm, and the command that is made to read it."""

    name: str
    command: list[str]
    accepted: bool = False  # it may succeed, as long as nothing runs


class _Evil:
    def __init__(self, witness: Path):
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.witness}'",)


def _diarize(model: str, audio: str = "data/a.wav", *more: str) -> list[str]:
    return ["diarize", model, audio, "--output", "out", "--device", "cpu", *more]


def _pickles(folder: Path, witness: Path) -> Iterator[Hostile]:
    evil = _Evil(witness)
    for name in ("powerset", "distill", "asr"):
        target = folder / f"trained/{name}/latest.pth"
        for kind in ("torch", "raw"):
            path = target.with_name(f"{kind}.pth")
            torch.save({"a": evil}, path) if kind == "torch" else path.write_bytes(
                pickle.dumps(evil)
            )
            command = ["apply_pruning", str(path), "--output", "out"]
            yield Hostile(f"{kind} pickle of {name}_train", command)
    torch.save({"cfg": evil, "model": {}}, folder / "evil.pt")
    yield Hostile("pickle, convert", ["convert", "evil.pt", "out"])
    for kind, config in (("hf", '{"model_type": "wavlm"}'), ("dz", "")):
        (folder / kind).mkdir()
        torch.save({"x": evil}, folder / kind / "pytorch_model.bin")
        (folder / kind / "config.json").write_text(config) if config else None
        args = 'wavlm_src = "wavlm_base"\nwavlm_layer_num = 13\nwavlm_feat_dim = 768\n'
        toml = f'[model]\npath = "{_MODEL}"\n[model.args]\n{args}'
        (folder / kind / "config.toml").write_text(toml) if not config else None
        yield Hostile(f"pickle, {kind} folder", ["convert", kind, "out"])
    (folder / "we").mkdir()
    torch.save({"x": evil}, folder / "we/avg_model.pt")
    (folder / "we.yaml").write_text("embedding: we/avg_model.pt\n")
    yield Hostile("pickle, WeSpeaker", _diarize("exp/pruned", "data/a.wav", "--config", "we.yaml"))


def _training(folder: Path, witness: Path) -> Iterator[Hostile]:
    """Where ESPnet itself reads: on resume, in averaging, and for --init_param."""
    for name in ("powerset", "distill"):
        words = list(inputs.COMMANDS[f"{name}_train"])
        for file in ("checkpoint.pth", "1epoch.pth"):
            output = folder / f"{name}_{file}"
            shutil.copytree(folder / f"trained/{name}", output, symlinks=True)
            state = load_pickle(output / file, also=REPORTED)
            (output / file).unlink()
            torch.save({**state, "evil": _Evil(witness)}, output / file)
            changed = [output.name if word == "out" else word for word in words]
            changed += ["--max_epoch", "2", "--resume", "true", "--keep_nbest_models", "2"]
            yield Hostile(f"{file} with code, {name}_train", [f"{name}_train", *changed])
        yield Hostile(
            f"--init_param, {name}_train", [f"{name}_train", *words, "--init_param", "evil.pt"]
        )


def _arrays(folder: Path, witness: Path) -> Iterator[Hostile]:
    huge = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(huge, shape)
    files = {"plda.npz": ("mu", "tr", "psi"), "xvec_transform.npz": ("mean1", "lda", "mean2")}
    for kind in ("object", "huge"):
        plda = folder / f"plda_{kind}"
        plda.mkdir()
        for file, names in files.items():
            if kind == "object":
                np.savez(
                    plda / file, **{n: np.array([_Evil(witness)], dtype=object) for n in names}
                )
            else:
                with zipfile.ZipFile(plda / file, "w") as archive:
                    for name in names:
                        archive.writestr(f"{name}.npy", huge.getvalue())
        yield Hostile(f"npz, {kind}", ["plda", plda.name])


def _yamls(folder: Path, witness: Path) -> Iterator[Hostile]:
    laughs = ["a: &a [x, x]"]
    for above, name in zip("abcdefghijkl", "bcdefghijklm", strict=True):
        laughs.append(f"{name}: &{name} [{', '.join([f'*{above}'] * 9)}]")
    texts = {
        "tag": f"step: !!python/object/apply:os.system ['touch {witness}']\n",
        "laughs": "\n".join([*laughs, "step: *m", ""]),
        "broken": "step: [1\n",
        "deep": "[" * 50_000,
        "binary": "\x00step",
    }
    for name, text in texts.items():
        path = folder / f"{name}.yaml"
        path.write_text(text)
        yield Hostile(f"YAML {name}", _diarize("exp/pruned", "data/a.wav", "--config", path.name))
        words = [*inputs.COMMANDS["distill_train"], "--config", path.name]
        yield Hostile(f"YAML {name}, training", ["distill_train", *words])
        trained = folder / f"trained_{name}"
        shutil.copytree(folder / "trained/distill", trained, symlinks=True)
        (trained / "config.yaml").write_text(text)
        command = ["apply_pruning", f"{trained.name}/latest.pth", "--output", "out"]
        yield Hostile(f"YAML {name}, trained", command)


def _configs(folder: Path, witness: Path) -> Iterator[Hostile]:
    def layer(name: str, **values: Any) -> Callable[[dict], None]:
        return lambda config: config[name][0].update(values)

    changes: dict[str, Callable[[dict], Any]] = {
        "channels 10^12": layer("conv_layers", channels=10**12, kept=None),
        "channels 10^6": layer("conv_layers", channels=10**6, kept=None),
        "channels nan": layer("conv_layers", channels=float("nan")),
        "stride 0": layer("conv_layers", stride=0),
        "ffn -3": layer("layers", ffn=-3, ffn_kept=None),
        "a million layers": lambda config: config.update(layers=config["layers"] * 400_000),
        **{
            f"{key} {value}": lambda config, key=key, value=value: config.update({key: value})
            for key, value in (
                ("embed_dim", 10**12),
                ("embed_dim", -4),
                ("embed_dim", "many"),
                ("num_heads", 0),
                ("num_buckets", 10**12),
                ("pos_conv_groups", 0),
            )
        },
    }
    for name, change in changes.items():
        path = _copied(folder, "encoder", name) / "config.json"
        config = json.loads(path.read_text())
        change(config)
        path.write_text(json.dumps(config))
        yield Hostile(f"config.json {name}", ["profile", str(path.parent)])
    for text in ("[" * 200_000, '{"a": ' * 50_000):
        path = _copied(folder, "encoder", f"deep {len(text)}") / "config.json"
        path.write_text(text)
        yield Hostile(f"config.json deep {text[0]}", ["profile", str(path.parent)])
    keys = ("max_speakers", 10**6), ("max_simultaneous", 10**6), ("window_size", 1e18)
    for key, value in (*keys, ("window_size", -1), ("window_size", float("nan"))):
        model = _copied(folder, "exp/pruned", f"{key} {value}")
        config = json.loads((model / "config.json").read_text())
        _set(config, key, value)
        (model / "config.json").write_text(json.dumps(config))
        yield Hostile(f"diarizer {key} {value}", _diarize(str(model)))


def _copied(folder: Path, source: str, name: str) -> Path:
    target = folder / f"{source.replace('/', '_')}_{name.replace(' ', '_')}"
    shutil.copytree(folder / source, target)
    return target


def _set(tree: dict, key: str, value: Any) -> None:
    for name, inner in tree.items():
        if name == key:
            tree[name] = value
        elif isinstance(inner, dict):
            _set(inner, key, value)


def _safetensors(folder: Path, witness: Path) -> Iterator[Hostile]:
    def entry(shape: Any, offsets: list[int], **more: Any) -> bytes:
        return json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).encode()

    headers = {
        "shape 10^12": entry([10**12], [0, 0]),
        "negative offsets": entry([4], [-16, 0]),
        "negative shape": entry([-2, -2], [0, 16]),
        "shape text": entry("x", [0, 16]),
        "shape zero and huge": entry([0, 10**18, 10**18], [0, 0]),
        "without dtype": b'{"a": {"shape": [4], "data_offsets": [0, 16]}}',
        "deep": b"[" * 100_000,
    }
    for name, header in headers.items():
        model = _copied(folder, "encoder", name)
        data = struct.pack("<Q", len(header)) + header + bytes(16)
        (model / "model.safetensors").write_bytes(data)
        yield Hostile(f"safetensors {name}", ["convert", str(model), "out"])
    for bits in (40, 62):
        model = _copied(folder, "encoder", f"length {bits}")
        (model / "model.safetensors").write_bytes(struct.pack("<Q", 2**bits) + b"{}")
        yield Hostile(f"safetensors header of 2^{bits}", ["convert", str(model), "out"])


def _audio(folder: Path, witness: Path) -> Iterator[Hostile]:
    def wav(riff: int, rate: int, size: int) -> bytes:
        form = struct.pack("<IHHIIHH", 16, 1, 1, rate, min(2 * rate, 2**32 - 1), 2, 16)
        start = b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + form
        return start + b"data" + struct.pack("<I", size) + bytes(64000)

    files = {
        "4 GB": wav(2**32 - 1, 16000, 0xFFFFFFF0),
        "1 Hz": wav(64036, 1, 64000),
        "2^31-1 Hz": wav(64036, 2**31 - 1, 64000),
        "0 Hz": wav(64036, 0, 64000),
        "text": b"hello",
        "empty": b"",
    }
    for name, data in files.items():
        path = folder / f"{name.replace(' ', '_')}.wav"
        path.write_bytes(data)
        yield Hostile(f"WAV {name}", _diarize("exp/pruned", path.name), accepted=name == "4 GB")
    piped = _copied(folder, "data", "pipe")
    (piped / "wav.scp").write_text(f"a touch {witness}; cat data/a.wav |\n")
    yield Hostile("pipe in wav.scp", ["check_data", str(piped), "--output", "out"])
    for times in ("nan 2.0", "1.0 -2.0", "1.0 1e300", "inf 1", "1.0 nan"):
        path = folder / f"{times.replace(' ', '_')}.rttm"
        path.write_text(f"SPEAKER a 1 {times} <NA> <NA> A <NA> <NA>\n")
        command = ["score_der", "data/rttm", path.name, "--uem", "data/uem"]
        yield Hostile(f"RTTM {times}", command)


KINDS = {
    "pickles": _pickles,
    "training": _training,
    "arrays": _arrays,
    "yaml": _yamls,
    "configs": _configs,
    "safetensors": _safetensors,
    "audio": _audio,
}


def _load_plda(folder: str) -> None:
    from espnet_prune.bin.errors import explained
    from espnet_prune.diarization.clustering.plda import load_plda

    with explained("plda"):
        load_plda(folder, 1)


def faults(kind: str, folder: Path) -> Iterator[str]:
    """What was wrong with each command over the hostile files of a kind, made in ``folder``.

    ``folder`` holds the inputs of all verbs.
    """
    witness = folder / "witness"
    torch.save({"a": _Evil(witness)}, folder / "evil.pt")
    for name, (verb, *words), accepted in KINDS[kind](folder, witness):
        main = import_module(f"espnet_prune.bin.{verb}").main if verb != "plda" else None
        arguments = (words,) if main else words
        outcome = forked(main or _load_plda, *arguments, folder=folder, limit=_SECONDS)
        if witness.exists():
            witness.unlink()
            yield f"{name}: its code ran"
        elif outcome.fault:
            yield f"{name}: {outcome.fault} ({outcome.said.strip()[-120:]!r})"
        elif outcome.status == 0 and not accepted:
            yield f"{name}: accepted"
        elif verb[-6:] != "_train" and outcome.said.count("\n") > _LINES:
            yield f"{name}: {outcome.said.count(chr(10))} lines"


def _row(reference: Reference, kind: str) -> str:
    folder = reference.work / f"hostile_{kind}"
    shutil.rmtree(folder, ignore_errors=True)
    inputs.build(folder)
    return "; ".join(faults(kind, folder))


ROWS = [
    Row(
        f"hostile {kind}",
        "nothing runs; 2 in a few words, in limits",
        partial(_row, kind=kind),
        True,
    )
    for kind in KINDS
]
