"""sherpa-onnx, unchanged, runs what is exported for it, and finds the turns that we find."""

from __future__ import annotations

import functools
import json
import re
import shlex
import shutil
import threading
from collections.abc import Iterable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from espnet_prune.bin.export import main
from espnet_prune.export import (
    ExportError,
    export_sherpa,
    export_sherpa_embedding,
    largest_difference,
)
from tests.export.models import make

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("pyannote.core")
soundfile = pytest.importorskip("soundfile")

from espnet_prune import Diarizer  # noqa: E402
from espnet_prune.diarization.inference_config import InferenceConfig  # noqa: E402
from tests.export.meeting import (  # noqa: E402
    MEETING,
    THRESHOLD,
    knowing_model,
    write_meeting,
    write_mel,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/places/sherpa_onnx.md").read_text()
EXAMPLE = ROOT / "examples/browser"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DIARIZER = "diarizer-group"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The meeting, the model that knows it, and the embedding, for sherpa-onnx."""
    folder = tmp_path_factory.mktemp("sherpa")
    write_meeting(folder / "meeting.wav")
    write_mel(folder / "embedding.onnx")
    export_sherpa(knowing_model(), folder / "model.onnx")
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model, by the page's command."""
    folder = tmp_path_factory.mktemp("random")
    make(DIARIZER).save_pretrained(folder / "exp/pruned")
    (command,) = re.findall(r"^    espnet-prune export (.*-onnx)$", PAGE, re.MULTILINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(shlex.split(command))
    return folder / "model.onnx"


def turns_of_sherpa(folder: Path, model: str = "model.onnx", threshold: float = THRESHOLD) -> list:
    """What the page's program finds in the meeting, but for its threshold."""
    pytest.importorskip("sherpa_onnx")
    (program,) = (block for block in blocks() if "import sherpa_onnx" in block)
    program = program.replace("threshold=0.5", f"{threshold=}").replace("model.onnx", model)
    found: dict[str, list] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(program, found)
    return [(turn.start, turn.end, turn.speaker) for turn in found["turns"]]


def blocks() -> list[str]:
    return re.findall(r"^```py\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def frames(turns: Iterable[tuple[float, float, object]], late: float) -> set[frozenset]:
    """The frames of what each speaker says, whatever their names; ``late`` is the first's start."""
    speakers: dict[object, list[tuple[float, ...]]] = {}
    for start, end, speaker in turns:
        edges = tuple(round((edge - late) * 50, 3) for edge in (start, end))
        assert all(edge.is_integer() for edge in edges), (start, end)
        speakers.setdefault(speaker, []).append(edges)
    return {frozenset(each) for each in speakers.values()}


@torch.no_grad()
def test_same_frames(exported: Path) -> None:
    session, model = onnxruntime.InferenceSession(exported), make(DIARIZER)
    for size in (1, 3):
        windows = 0.3 * torch.randn(size, 1, 32000)
        (found,) = session.run(None, {"x": windows.numpy()})
        expected, _ = model(windows[:, 0])
        torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-4, rtol=0)
    assert largest_difference(exported, model, target="sherpa-onnx") < 1e-5
    model.head.classifier.bias[0] += 0.1
    assert largest_difference(exported, model, target="sherpa-onnx") > 1e-3


def test_the_file_says_what_sherpa_onnx_asks_for(exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported)
    (entry,), (output,) = session.get_inputs(), session.get_outputs()
    assert (entry.shape, entry.type) == (["N", 1, 32000], "tensor(float)")
    count = make(DIARIZER).encoder.config.num_frames(32000)
    assert (output.shape[1:], output.type) == ([count, 7], "tensor(float)")
    found = session.get_modelmeta().custom_metadata_map
    expected = {"sample_rate": 16000, "window_size": 32000, "receptive_field_size": 30}
    expected |= {"receptive_field_shift": 20, "num_speakers": 3, "powerset_max_classes": 2}
    expected |= {"num_classes": 7}
    assert {name: json.loads(found[name]) for name in expected} == expected


def test_turns_are_those_of_our_pipeline(folder: Path) -> None:
    yaml = pytest.importorskip("yaml")
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    values = yaml.safe_load(text) | {"embedding": "mel", "threshold": THRESHOLD}
    diarizer = Diarizer(knowing_model(), InferenceConfig(**values))
    ours = diarizer.diarize(folder / "meeting.wav", "m")
    expected = frames([(turn.start, turn.end, turn.speaker) for turn in ours], 0.0025)
    assert expected == frames(MEETING, 0)
    # They take a frame to begin at its centre, half a frame later.
    assert frames(turns_of_sherpa(folder), 0.0125) == expected
    assert frames(turns_of_sherpa(folder, threshold=2.0), 0.0125) != expected


@pytest.mark.slow
@pytest.mark.parametrize("precision, most", [("int8", 0.1), ("float16", 0.01)])
def test_smaller(precision: str, most: float, folder: Path, tmp_path: Path) -> None:
    model, path = make(DIARIZER), folder / f"{precision}.onnx"
    export_sherpa(model, path, precision=precision)
    assert 1e-5 < largest_difference(path, model, target="sherpa-onnx") < most
    for start, end, _ in turns_of_sherpa(folder, path.name):
        assert 0 <= start < end <= 12.1


def test_what_it_cannot_read(tmp_path: Path) -> None:
    model, path = make(DIARIZER), tmp_path / "model.onnx"
    for wrong, output, found in (
        (model.encoder, None, "an encoder"),
        (model, "hidden_states", "hidden_states"),
    ):
        message = f"expected a diarization model and its log_probs, .* found {found}$"
        with pytest.raises(ExportError, match=message):
            export_sherpa(wrong, path, output)
    config = type(model.config)(model.config.head, max_speakers=3, max_simultaneous=3)
    with pytest.raises(ExportError, match="expected a model of 2 simultaneous .* found one of 3"):
        export_sherpa(type(model)(model.featurizer, config), path)
    assert not path.exists()


@pytest.mark.slow
@torch.no_grad()
def test_campplus(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the page's program; its network is the same, and it tells the voices apart."""
    from espnet_prune.diarization.embedding.campplus import CAMPlusPlusEmbedder

    monkeypatch.chdir(tmp_path)
    (program,) = (block for block in blocks() if export_sherpa_embedding.__name__ in block)
    exec(program, {})
    session = onnxruntime.InferenceSession(tmp_path / "embedding.onnx")
    for size in (3, 99, 100, 351):
        spectra = torch.randn(1, size, 80)
        (found,) = session.run(None, {"features": spectra.numpy()})
        expected = CAMPlusPlusEmbedder.from_pretrained().network(spectra)
        torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-4, rtol=1e-4)
    for name in ("meeting.wav", "model.onnx"):
        (tmp_path / name).symlink_to(folder / name)
    assert frames(turns_of_sherpa(tmp_path, threshold=0.5), 0.0125) == frames(MEETING, 0)


@pytest.fixture
def address(folder: Path, tmp_path: Path) -> Iterator[str]:
    """The example of a page, beside the models, served."""
    if not (EXAMPLE / "node_modules").exists():
        pytest.skip("examples/browser has no node_modules; npm install makes them")
    for file in EXAMPLE.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "segmentation.onnx").symlink_to(folder / "model.onnx")
    (tmp_path / "embedding.onnx").symlink_to(folder / "embedding.onnx")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_in_a_browser(address: str, folder: Path, tmp_path: Path) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM:
        pytest.skip("Chromium is not installed")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = chromium.new_page()
        page.goto(address)
        page.fill("#threshold", str(THRESHOLD))
        page.set_input_files("#file", folder / "meeting.wav")
        page.wait_for_function("document.querySelector('#said').textContent.includes('turn(s)')")
        assert page.text_content("#said") == "3 speaker(s), 5 turn(s)"
        found = [row.split("\t") for row in page.locator("#turns tr").all_inner_texts()]
        expected = [[f"{a:.2f}", f"{b:.2f}"] for a, b, _ in turns_of_sherpa(folder)]
        assert [row[:2] for row in found] == expected
        soundfile.write(tmp_path / "silence.wav", np.zeros(16000), 16000)
        page.set_input_files("#file", tmp_path / "silence.wav")
        page.wait_for_function("document.querySelector('#said').textContent.startsWith('0 sp')")
        (tmp_path / "no.wav").write_text("no audio")
        page.set_input_files("#file", tmp_path / "no.wav")
        page.wait_for_function("document.querySelector('#said').textContent.includes('no.wav (')")
        chromium.close()
