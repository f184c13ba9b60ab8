"""Whatever a model's files hold, they load as what was saved, or are refused in one line."""

from __future__ import annotations

import copy
import gzip
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from espnet_prune.encoder import SSLConfig, SSLEncoder
from espnet_prune.formats import import_encoder
from espnet_prune.formats.pickles import check_state, load_pickle
from espnet_prune.storage import CheckpointError
from espnet_prune.storage.sniffing import ARRAYS, PYTORCH, SAFETENSORS, require_kind
from espnet_prune.storage.tensors import load_file, save_file
from tests.encoders import KINDS, random_encoder, tiny_config

CASES = Path(__file__).parents[1] / "data" / "cases"


def refused(path: Path, load: Callable[[Path], object] = load_file) -> str:
    with pytest.raises(CheckpointError) as refusal:
        load(path)
    message = str(refusal.value)
    assert len(message.splitlines()) == 1 and len(message) < 1500
    return message


TENSORS = {"a": torch.randn(2, 3), "b": torch.arange(4), "none": torch.zeros(0, 5)}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_file(TENSORS, tmp_path / "a.safetensors")
    return tmp_path / "a.safetensors"


def test_a_byte_of_the_header_is_another(weights: Path) -> None:
    data = weights.read_bytes()
    header = 8 + struct.unpack("<Q", data[:8])[0]
    for position in range(header):
        for flip in (0x01, 0x10, 0x80):
            damaged = bytearray(data)
            damaged[position] ^= flip
            weights.write_bytes(damaged)
            try:
                found = load_file(weights)
            except CheckpointError as error:
                assert len(str(error).splitlines()) == 1
                continue
            # Names and types have no check of their own; sizes stay those of the file.
            assert sum(tensor.nbytes for tensor in found.values()) == len(data) - header


def test_truncated_and_extended(weights: Path) -> None:
    data = weights.read_bytes()
    for keep in range(len(data)):
        weights.write_bytes(data[:keep])
        refused(weights)
    weights.write_bytes(data + b"\0")
    assert "truncated or damaged" in refused(weights)


def entry(**changes: object) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **changes}


@pytest.mark.parametrize(
    "header, size",
    [
        ({"a": entry(shape=[10**12], data_offsets=[0, 0])}, 0),
        ({"a": entry(shape=[10**12], data_offsets=[0, 4 * 10**12])}, 0),
        ({"a": entry(data_offsets=[-16, 0])}, 0),
        ({"a": entry(data_offsets=[16, 0])}, 16),
        ({"a": entry(data_offsets=[0.0, 16.0])}, 16),
        ({"a": entry(data_offsets=[0])}, 16),
        ({"a": entry(data_offsets=None)}, 16),
        ({"a": entry(shape=[-2, -2])}, 16),
        ({"a": entry(shape="x")}, 16),
        ({"a": entry(shape=4)}, 16),
        ({"a": entry(shape=[True, 4])}, 16),
        ({"a": entry(shape=[2.0, 2])}, 16),
        ({"a": entry(shape=[0, 10**18], data_offsets=[0, 0])}, 0),
        ({"a": entry(shape=[10**18, 10**18, 0], data_offsets=[0, 0])}, 0),
        ({"a": entry(shape=[1] * 100 + [4])}, 16),
        ({"a": {"shape": [4], "data_offsets": [0, 16]}}, 16),
        ({"a": entry(dtype="F31")}, 16),
        ({"a": entry(dtype=["F32"])}, 16),
        ({"a": entry(), "b": entry()}, 16),
        ({"a": entry(), "b": entry(data_offsets=[8, 24])}, 24),
        ({"a": entry(data_offsets=[4, 20])}, 20),
        ({"a": entry(), "b": entry(data_offsets=[20, 36])}, 36),
        ({"a": 3}, 0),
        ({"a": None}, 0),
        ([], 0),
        (3, 0),
        (None, 0),
    ],
)
def test_headers_that_lie(tmp_path: Path, header: object, size: int) -> None:
    text = json.dumps(header).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * size)
    try:
        found = load_file(path)
    except CheckpointError:
        refused(path)
    else:  # PyTorch has tensors of a hundred axes, too
        assert list(found["a"].shape) == header["a"]["shape"]  # type: ignore[index,call-overload]


@pytest.mark.parametrize("length", [2**62, 2**40, 2**63, 2**64 - 1, 100])
def test_length_of_the_header(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    refused(path)


def test_deep_headers(tmp_path: Path) -> None:
    text = b'{"a":' + b"[" * 100_000
    (tmp_path / "a").write_bytes(struct.pack("<Q", len(text)) + text)
    refused(tmp_path / "a")


def archive(names: list[str]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            for name in names:
                file.writestr(name, b"data")

    return write


FOUND: dict[str, tuple[Callable[[Path], object], str]] = {
    "pointer": (
        lambda path: shutil.copy(CASES / "lfs_pointer.safetensors", path),
        "a git-lfs pointer, which only names the weights; get them: git lfs pull",
    ),
    "page": (
        lambda path: shutil.copy(CASES / "html_page.safetensors", path),
        "a web page; sign in or accept the terms where it came from, and download it again",
    ),
    "page with a mark": (lambda path: path.write_bytes(b"\xef\xbb\xbf\n <HTML>"), "a web page"),
    "nothing": (lambda path: path.touch(), "an empty file"),
    "missing": (lambda path: None, r"none \(No such file or directory\)"),
    "folder": (lambda path: path.mkdir(), "a folder; pass the file in it"),
    "pipe": (os.mkfifo, "a pipe or a device"),
    "pack": (archive(["model/config.json", "RESULTS.md"]), "a zip archive, such as a pack; unpack"),
    "cut zip": (lambda path: path.write_bytes(b"PK\x03\x04" + b"\0" * 99), "a zip .* cut off"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"data")), "a compressed archive; unpack"),
    "text": (lambda path: path.write_text("No such model\n"), "a text that begins with 'No such m"),
    "json": (lambda path: path.write_text('{"a": 1}'), "a text that begins with '{\"a\": 1}'"),
    "bytes": (lambda path: path.write_bytes(bytes(range(1, 200))), "something else"),
}
WRITERS: dict[str, Callable[[Path], object]] = {
    SAFETENSORS: lambda path: save_file(TENSORS, path),
    PYTORCH: lambda path: torch.save(TENSORS, path),
    ARRAYS: archive(["a.npy"]),
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("found", [*FOUND, *WRITERS])
def test_what_a_file_is_instead(tmp_path: Path, kind: str, found: str) -> None:
    write, message = FOUND.get(found) or (WRITERS[found], f"{found};")
    write(tmp_path / "file")
    if kind == found:
        require_kind(tmp_path / "file", kind)
        return
    with pytest.raises(CheckpointError, match=f"file: expected {kind}, found {message}"):
        require_kind(tmp_path / "file", kind)


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
@pytest.mark.parametrize("found", FOUND)
def test_sources_that_are_no_weights(tmp_path: Path, name: str, found: str) -> None:
    write, _ = FOUND[found]
    write(tmp_path / name)
    refused(tmp_path / name, import_encoder)
    # Weights of a folder with a config.
    if found != "missing":
        random_encoder(tiny_config()).save_pretrained(tmp_path / "model")
        (tmp_path / "model" / "model.safetensors").unlink()
        (tmp_path / name).rename(tmp_path / "model" / "model.safetensors")
        assert "expected a safetensors file, found" in refused(tmp_path / "model", import_encoder)


def test_archives_that_unpack_to_more_than_they_hold(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"\0" * 10**6)
    assert "a zip archive of more bytes than it has" in refused(tmp_path / "a", load_pickle)


def test_views_of_one_value_are_no_weights(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "a.pt")
    found = load_pickle(tmp_path / "a.pt")
    assert "expected 'a' whole" in refused(tmp_path, lambda path: check_state(found, path))


def leaves(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))


BAD = [-4, 0, 10**6, 10**400, 0.5, float("nan"), "many", None, True, [], {}, [[1]], ...]


@pytest.mark.parametrize("value", BAD, ids=lambda value: repr(value)[:9])
def test_values_of_a_config(tmp_path: Path, value: object) -> None:
    random_encoder(tiny_config()).save_pretrained(tmp_path)
    original = json.loads((tmp_path / "config.json").read_text())
    for path in leaves(original):
        values = copy.deepcopy(original)
        place = values
        for key in path[:-1]:
            place = place[key]
        if value is ...:
            del place[path[-1]]
        else:
            place[path[-1]] = value
        (tmp_path / "config.json").write_text(json.dumps(values))
        try:
            encoder = SSLEncoder.from_pretrained(tmp_path)
        except CheckpointError as error:
            assert len(str(error).splitlines()) == 1 and len(str(error)) < 2000, path
            continue
        states = encoder(torch.zeros(1, max(800, encoder.config.receptive_field))).hidden_states
        assert all(state.isfinite().all() for state in states), path


@pytest.mark.parametrize("text", ["[" * 200_000, '{"kind": "ssl_encoder"}', "{}", "[]", "", "\0"])
def test_other_configs(tmp_path: Path, text: str) -> None:
    random_encoder(tiny_config()).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(text)
    assert "config.json" in refused(tmp_path, import_encoder)


def test_sizes_are_compared_before_anything_is_allocated(tmp_path: Path) -> None:
    random_encoder(tiny_config()).save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    values["conv_layers"][1]["channels"] = values["conv_layers"][2]["channels"] = 10**6  # 8 TB
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert "of another shape" in refused(tmp_path, import_encoder)
    values["layers"] *= 1000
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert "the number of layers from 0 to 1000, found 3000" in refused(tmp_path, import_encoder)


@pytest.mark.parametrize("family, size", KINDS)
def test_no_part_of_a_loaded_encoder_lacks_memory(tmp_path: Path, family: str, size: str) -> None:
    encoder = random_encoder(tiny_config(family, size))
    encoder.save_pretrained(tmp_path)
    again = SSLEncoder.from_pretrained(tmp_path)
    for (name, ours), (other, theirs) in zip(
        [*encoder.named_parameters(), *encoder.named_buffers()],
        [*again.named_parameters(), *again.named_buffers()],
        strict=True,
    ):
        assert name == other and torch.equal(ours, theirs) and ours.dtype == theirs.dtype
        assert theirs.requires_grad == ours.requires_grad


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite(tmp_path: Path, value: float) -> None:
    encoder = random_encoder(tiny_config())
    encoder.save_pretrained(tmp_path / "good")
    before = (tmp_path / "good" / "model.safetensors").read_bytes()
    with torch.no_grad():
        encoder.layers[1].feed_forward.fc1.bias[3] = value
    message = "expected finite weights, .* in 'layers.1.feed_forward.fc1.bias'"
    for folder in ("good", "new"):
        for sparse in (False, True):
            with pytest.raises(CheckpointError, match=message):
                encoder.save_pretrained(tmp_path / folder, sparse=sparse)
    assert (tmp_path / "good" / "model.safetensors").read_bytes() == before
    assert not list((tmp_path / "new").glob("*"))
    data = bytearray(before)
    data[-4:] = struct.pack("<f", value)
    (tmp_path / "good" / "model.safetensors").write_bytes(data)
    assert "expected finite weights" in refused(tmp_path / "good", import_encoder)


def test_large_values_are_finite(tmp_path: Path) -> None:
    tensors = {"a": torch.full((9,), 3e38), "b": torch.full((9,), 6e4).half()}
    save_file(tensors, tmp_path / "a")
    assert all(torch.equal(load_file(tmp_path / "a")[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int8, torch.int64])
def test_integers_are_no_weights(tmp_path: Path, dtype: torch.dtype) -> None:
    encoder = random_encoder(tiny_config())
    encoder.save_pretrained(tmp_path)
    state = {**encoder.state_dict(), "norm.bias": torch.ones(16, dtype=dtype)}
    save_file(state, tmp_path / "model.safetensors")
    assert "expected 'norm.bias' of torch.float32" in refused(tmp_path, import_encoder)


def test_a_config_is_what_it_was(tmp_path: Path) -> None:
    config = tiny_config()
    assert SSLConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
