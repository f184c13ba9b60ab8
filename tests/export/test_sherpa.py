"""sherpa-onnx, unchanged, runs what is exported for it, and finds the turns that we find."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from espnet_prune.bin.export import main
from espnet_prune.export import ExportError, largest_difference
from espnet_prune.export.sherpa import export_sherpa, export_sherpa_embedding
from tests.export.models import make

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("pyannote.core")

ROOT = Path(__file__).parents[2]
READERS = ("1688/142285/1688-142285", "1998/15444/1998-15444", "2033/164914/2033-164914")
VOICES, PERIOD = len(READERS), 12800  # samples
# Windows are of 8 s, and 0.8 s apart: what they cut off is 0.8 s long or longer.
SECONDS = 12.0
MEETING = [(0.8, 4.0, 0), (3.2, 5.6, 1), (6.4, 8.8, 2), (8.0, 9.6, 0), (9.6, 11.2, 1)]
THRESHOLD = 0.002  # of `mel`, which is coarse
HALF_A_FRAME = 0.01
DIARIZER = "diarizer-group"


def make_diarizer(segmentation: Path, embedding: Path, threshold: float = THRESHOLD):
    sherpa = pytest.importorskip("sherpa_onnx")
    model = sherpa.OfflineSpeakerSegmentationPyannoteModelConfig(model=str(segmentation))
    config = sherpa.OfflineSpeakerDiarizationConfig(
        segmentation=sherpa.OfflineSpeakerSegmentationModelConfig(pyannote=model),
        embedding=sherpa.SpeakerEmbeddingExtractorConfig(model=str(embedding)),
        clustering=sherpa.FastClusteringConfig(threshold=threshold),
        min_duration_on=0.0,
        min_duration_off=0.0,
    )
    assert config.validate()
    return sherpa.OfflineSpeakerDiarization(config)


def session(path: Path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model, by the command."""
    folder = tmp_path_factory.mktemp("sherpa")
    make(DIARIZER).save_pretrained(folder / "model")
    main([str(folder / "model"), str(folder / "model.onnx"), "--target", "sherpa-onnx"])
    return folder / "model.onnx"


@pytest.fixture(scope="module")
def mel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our embedding ``mel``, mean and deviation of log mel spectra, as sherpa-onnx reads them."""
    path = tmp_path_factory.mktemp("mel") / "mel.onnx"
    graph = onnx.parser.parse_model("""
        < ir_version: 8, opset_import: ["" : 17] >
        mel (float[1, L, 80] x) => (float[1, 160] embedding)
        {
            mean = ReduceMean <axes = [1], keepdims = 1> (x)
            less = Sub (x, mean)
            square = Mul (less, less)
            variance = ReduceMean <axes = [1], keepdims = 1> (square)
            deviation = Sqrt (variance)
            both = Concat <axis = 2> (mean, deviation)
            embedding = Flatten (both)
        }
    """)
    metadata = {"framework": "wespeaker", "language": "any", "sample_rate": "16000"}
    metadata |= {"output_dim": "160", "normalize_samples": "0"}
    onnx.helper.set_model_props(graph, metadata)
    onnx.save(graph, path)
    return path


class LastBits(nn.Module):
    """An encoder that reads who speaks from the last bits of the samples, as every state."""

    def __init__(self) -> None:
        super().__init__()
        from tests.diarization.scripted import real_convs
        from tests.encoders import tiny_config

        self.config = tiny_config(conv_layers=real_convs())

    def stream(self, wavs: Tensor, lengths: Tensor | None = None):
        frames = self.config.num_frames(wavs.size(1))
        centres = wavs[:, int(self.config.first_centre) :: self.config.hop][:, :frames] * 2**15
        halves = [(centres / 2**voice).floor() for voice in range(VOICES + 1)]
        states = torch.stack([halves[i] - 2 * halves[i + 1] for i in range(VOICES)], dim=-1)
        count = len(self.config.layers) + 1
        return iter([states] * count), torch.full((wavs.size(0),), frames)


class NearestClass(nn.Module):
    """Scores ``(B, L, K)``: the highest is of the set of speakers who are active."""

    def __init__(self, mapping: Tensor):
        super().__init__()
        self.register_buffer("mapping", mapping)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        return 2 * features @ self.mapping.T - self.mapping.sum(1)


@pytest.fixture(scope="module")
def scripted():
    """A model that knows who speaks in :func:`meeting`."""
    from espnet_prune.diarization.head import DiarizationConfig, HeadConfig
    from espnet_prune.diarization.model import DiarizationModel
    from espnet_prune.encoder import Featurizer

    config = DiarizationConfig(HeadConfig(16, 1, 2, 16, 3), VOICES, 2, window_size=8.0)
    model = DiarizationModel(Featurizer(LastBits()), config)
    model.head = NearestClass(model.powerset.mapping)
    return model.eval()


@pytest.fixture(scope="module")
def meeting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real voices that talk as in MEETING; the last bits of each sample say who.

    Each says the same 0.8 s again and again, so that it always sounds the same.
    """
    samples = np.zeros(round(SECONDS * 16000), dtype=np.int64)
    codes = np.zeros_like(samples)
    for start, end, voice in MEETING:
        spoken = np.resize(_voice(voice), round((end - start) * 16000))
        first = round(start * 16000)
        samples[first : first + len(spoken)] += spoken
        codes[first : first + len(spoken)] |= 1 << voice
    path = tmp_path_factory.mktemp("meeting") / "meeting.wav"
    size = 1 << VOICES
    soundfile.write(path, (samples // size * size + codes).astype(np.int16), 16000)
    return path


def _voice(voice: int) -> np.ndarray:
    recording = ROOT / f"egs2/mini_corpus/LibriSpeech/test-other/{READERS[voice]}-0000.opus"
    samples, rate = soundfile.read(recording, dtype="int16")
    assert rate == 16000
    return samples[16000 : 16000 + PERIOD].astype(np.int64)


def frames(turns: Sequence[tuple[float, float, object]]) -> set[frozenset[tuple[int, int]]]:
    """The frames of what each speaker says, whatever their names."""
    speakers: dict[object, list[tuple[int, int]]] = {}
    for start, end, speaker in turns:
        edges = round(start * 50, 3), round(end * 50, 3)
        assert all(edge.is_integer() for edge in edges), (start, end)
        speakers.setdefault(speaker, []).append(tuple(map(int, edges)))
    return {frozenset(each) for each in speakers.values()}


@torch.no_grad()
def test_same_frames(exported: Path) -> None:
    run, model = session(exported), make(DIARIZER)
    for size in (1, 3):
        windows = 0.3 * torch.randn(size, 1, 32000)
        (found,) = run.run(None, {"x": windows.numpy()})
        torch.testing.assert_close(
            torch.from_numpy(found), model(windows[:, 0])[0], atol=1e-4, rtol=0
        )
    assert largest_difference(exported, model, target="sherpa-onnx") < 1e-5
    with torch.no_grad():
        model.head.classifier.bias[0] += 0.1
    assert largest_difference(exported, model, target="sherpa-onnx") > 1e-3


def test_the_file_says_what_sherpa_onnx_asks_for(exported: Path) -> None:
    run = session(exported)
    (entry,), (output,) = run.get_inputs(), run.get_outputs()
    assert (entry.shape, entry.type) == (["N", 1, 32000], "tensor(float)")
    frames = make(DIARIZER).encoder.config.num_frames(32000)
    assert (output.shape[1:], output.type) == ([frames, 7], "tensor(float)")
    found = run.get_modelmeta().custom_metadata_map
    expected = {"sample_rate": 16000, "window_size": 32000, "receptive_field_size": 30}
    expected |= {"receptive_field_shift": 20, "num_speakers": 3, "powerset_max_classes": 2}
    expected |= {"num_classes": 7}
    assert {name: json.loads(found[name]) for name in expected} == expected


def test_sherpa_onnx_runs_a_random_model(exported: Path, mel: Path) -> None:
    diarizer = make_diarizer(exported, mel)
    assert diarizer.sample_rate == 16000
    for seconds in (0.1, 2.0, 5.3):
        generator = np.random.default_rng(0)
        samples = 0.1 * generator.standard_normal(round(seconds * 16000), dtype=np.float32)
        for turn in diarizer.process(samples).sort_by_start_time():
            assert 0 <= turn.start < turn.end <= max(seconds, 2.0) + 0.02


def test_turns_are_those_of_our_pipeline(
    scripted, meeting: Path, mel: Path, tmp_path: Path
) -> None:
    from espnet_prune import Diarizer
    from espnet_prune.diarization.inference_config import InferenceConfig

    config = InferenceConfig(
        step=0.8,
        median=1,
        min_share=0.025,
        embedding="mel",
        linkage="complete",
        threshold=THRESHOLD,
    )
    ours = Diarizer(scripted, config).diarize(meeting, "m")
    export_sherpa(scripted, tmp_path / "model.onnx")
    samples, _ = soundfile.read(meeting, dtype="float32")
    theirs = make_diarizer(tmp_path / "model.onnx", mel).process(samples).sort_by_start_time()
    # Our frames begin 2.5 ms late, and theirs at their own centres, half a frame later.
    expected = frames([(turn.start - 0.0025, turn.end - 0.0025, turn.speaker) for turn in ours])
    late = 0.0025 + HALF_A_FRAME
    assert frames([(t.start - late, t.end - late, t.speaker) for t in theirs]) == expected
    assert expected == frames(MEETING)


@pytest.mark.parametrize("precision, most", [("int8", 0.1), ("float16", 0.01)])
def test_smaller(precision: str, most: float, mel: Path, tmp_path: Path) -> None:
    model = make(DIARIZER)
    export_sherpa(model, tmp_path / "model.onnx", precision=precision)
    assert 1e-5 < largest_difference(tmp_path / "model.onnx", model, target="sherpa-onnx") < most
    make_diarizer(tmp_path / "model.onnx", mel).process(np.zeros(32000, dtype=np.float32))


def test_what_it_cannot_read(tmp_path: Path) -> None:
    model = make(DIARIZER)
    path = tmp_path / "model.onnx"
    for wrong, output, message in (
        (model.encoder, None, "expected a diarization model.* found an encoder"),
        (
            model,
            "hidden_states",
            "expected a diarization model and its log_probs.* found hidden_states",
        ),
    ):
        with pytest.raises(ExportError, match=message):
            export_sherpa(wrong, path, output)
    three = type(model.config)(model.config.head, max_speakers=3, max_simultaneous=3)
    model = type(model)(model.featurizer, three)
    with pytest.raises(ExportError, match="expected a model of 2 simultaneous .* found one of 3"):
        export_sherpa(model, path)
    assert not path.exists()


@pytest.mark.slow
@torch.no_grad()
def test_campplus(meeting: Path, tmp_path: Path) -> None:
    """Its network is the same, and so are the voices that it tells apart."""
    from espnet_prune.diarization.embedding.campplus import CAMPlusPlusEmbedder

    sherpa = pytest.importorskip("sherpa_onnx")
    embedder, path = CAMPlusPlusEmbedder.from_pretrained(), tmp_path / "campplus.onnx"
    export_sherpa_embedding(embedder, path)
    run = session(path)
    for size in (3, 99, 100, 351):
        spectra = torch.randn(1, size, 80)
        (found,) = run.run(None, {"features": spectra.numpy()})
        expected = embedder.network(spectra)
        torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-4, rtol=1e-4)
    config = sherpa.SpeakerEmbeddingExtractorConfig(model=str(path))
    extractor = sherpa.SpeakerEmbeddingExtractor(config)
    assert extractor.dim == 192
