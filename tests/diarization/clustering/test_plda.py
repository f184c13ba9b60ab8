"""PLDA: the same space as that of its definition, and damaged files."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import eigh

from espnet_prune.diarization.clustering.plda import load_plda
from espnet_prune.encoder import ConfigError
from espnet_prune.storage import CheckpointError
from tests.diarization.clustering.plda_files import write_plda

CASES = Path(__file__).parents[2] / "data" / "cases"


@pytest.fixture
def arrays():
    generator = np.random.default_rng(0)
    return {
        "mean1": 0.3 * generator.standard_normal(9),
        "lda": generator.standard_normal((9, 6)),
        "mean2": 0.3 * generator.standard_normal(6),
        "mu": 0.3 * generator.standard_normal(6),
        "tr": generator.standard_normal((6, 6)),
        "psi": np.array([0.5, 3.0, 0.1, 7.0, 2.0, 1.0]),
    }


def write(folder, arrays):
    first = {key: arrays[key] for key in ("mean1", "lda", "mean2") if key in arrays}
    np.savez(folder / "xvec_transform.npz", **first)
    np.savez(folder / "plda.npz", **{k: v for k, v in arrays.items() if k not in first})
    return folder


def test_directions_are_the_generalized_eigenvectors(arrays, tmp_path):
    plda = load_plda(write(tmp_path, arrays), dim=4)
    inverse = np.linalg.inv(arrays["tr"])
    between, within = inverse @ np.diag(arrays["psi"]) @ inverse.T, inverse @ inverse.T
    values, vectors = eigh(between, within)
    np.testing.assert_allclose(plda.psi, values[::-1][:4])
    embeddings = np.random.default_rng(1).standard_normal((5, 9)).astype(np.float32)
    unit = embeddings - arrays["mean1"]
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    projected = 3 * unit @ arrays["lda"] - arrays["mean2"]  # 3 and 6 are root sizes
    projected *= np.sqrt(6) / np.linalg.norm(projected, axis=1, keepdims=True)
    expected = (projected - arrays["mu"]) @ vectors[:, ::-1][:, :4]
    np.testing.assert_allclose(np.abs(plda(embeddings)), np.abs(expected), atol=1e-6)


def test_rows_or_columns_are_vectors(arrays, tmp_path):
    plain = load_plda(write(tmp_path, arrays), dim=6)
    flat = {key: arrays[key][None] for key in ("mean1", "mean2", "mu")}
    again = load_plda(write(tmp_path, {**arrays, **flat}), dim=6)
    embeddings = np.ones((1, 9), dtype=np.float32)
    np.testing.assert_array_equal(plain(embeddings), again(embeddings))


def test_embeddings_of_another_model_are_refused(arrays, tmp_path):
    plda = load_plda(write(tmp_path, arrays), dim=6)
    with pytest.raises(ConfigError, match="size 9.*found 8"):
        plda(np.zeros((2, 8), dtype=np.float32))


def test_damaged_files(arrays, tmp_path):
    with pytest.raises(CheckpointError, match=r"xvec_transform.npz: expected"):
        load_plda(tmp_path, dim=6)
    with pytest.raises(CheckpointError, match=r"plda.npz: expected the arrays mu, tr, psi"):
        load_plda(write(tmp_path, {k: v for k, v in arrays.items() if k != "psi"}), dim=6)
    with pytest.raises(CheckpointError, match=r"\(5,\)"):
        load_plda(write(tmp_path, {**arrays, "psi": np.ones(5)}), dim=6)
    with pytest.raises(CheckpointError, match="ValueError"):  # objects are pickles
        load_plda(write(tmp_path, {**arrays, "psi": np.array([{}])}), dim=6)
    file = write(tmp_path, arrays) / "plda.npz"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(
        CheckpointError, match="expected a NumPy archive, found a zip archive that is cut off"
    ):
        load_plda(tmp_path, dim=6)


@pytest.mark.parametrize("shape", [(10**12,), (10**9, 10**9), (-1,), (2**62, 4)])
def test_headers_that_ask_for_too_much(arrays, tmp_path, shape):
    write(tmp_path, arrays)
    header = io.BytesIO()
    values = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, values)
    with zipfile.ZipFile(tmp_path / "plda.npz", "w") as archive:
        for name in ("mu", "tr", "psi"):
            archive.writestr(f"{name}.npy", header.getvalue())
    with pytest.raises(CheckpointError, match="plda.npz: expected the arrays"):
        load_plda(tmp_path, dim=6)


def test_arrays_are_finite(arrays, tmp_path):
    with pytest.raises(CheckpointError, match="NaN or infinity"):
        load_plda(write(tmp_path, {**arrays, "psi": np.full(len(arrays["psi"]), np.nan)}), dim=6)


@pytest.mark.parametrize("name", ["lfs_pointer.safetensors", "html_page.safetensors"])
def test_files_that_are_no_arrays(arrays, tmp_path, name):
    shutil.copy(CASES / name, write(tmp_path, arrays) / "plda.npz")
    with pytest.raises(CheckpointError, match="plda.npz: expected a NumPy archive, found a"):
        load_plda(tmp_path, dim=6)


def test_the_tests_own_plda(tmp_path):
    assert load_plda(write_plda(tmp_path), dim=10).transform.shape == (10, 64)
