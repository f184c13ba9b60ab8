"""pyannote.audio runs an exported folder, and its turns are those of our diarizer."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest
import torch

from espnet_prune.bin.export import main
from espnet_prune.encoder import ConfigError
from tests.export.models import make

os.environ["PYANNOTE_METRICS_ENABLED"] = "0"  # it would tell its makers of every run
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that it cannot decode files without ffmpeg
    audio = pytest.importorskip("pyannote.audio")

import soundfile
import yaml
from pyannote.audio.utils.powerset import Powerset
from pyannote.core import Segment

from espnet_prune.diarization.embedding.head import EmbeddingHead
from espnet_prune.diarization.frames import FrameGrid
from espnet_prune.diarization.inference_config import InferenceConfig
from espnet_prune.diarization.pipeline import Diarizer
from tests.diarization.scripted import scripted_model, write_script


@pytest.fixture(scope="module", params=["diarizer-group", "diarizer-whisper"])
def folders(request, tmp_path_factory) -> tuple[Path, Path]:
    """A model, with an embedding head beside it, and what it was exported to."""
    source, exported = (tmp_path_factory.mktemp(request.param) / x for x in ("ours", "theirs"))
    model = make(request.param)
    model.save_pretrained(source)
    torch.manual_seed(0)
    EmbeddingHead.for_encoder(model.encoder.config).save_pretrained(source / "embedding")
    main([str(source), str(exported), "--target", "pyannote"])
    return source, exported


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    """Five seconds of noise that comes and goes, of which random models hear several speakers."""
    path = tmp_path_factory.mktemp("audio") / "noise.wav"
    generator = torch.Generator().manual_seed(0)
    loudness = torch.rand(16, generator=generator).square().repeat_interleave(4800)
    samples = 0.3 * loudness * torch.randn(len(loudness), generator=generator)
    soundfile.write(path, samples.clamp(-1, 1).numpy(), 16000)
    return path


@torch.no_grad()
def test_its_model_is_the_segmentation(folders: tuple[Path, Path]) -> None:
    source, exported = folders
    ours = Diarizer.from_pretrained(source).model
    model = audio.Model.from_pretrained(exported / "segmentation").eval()
    wavs = 0.1 * torch.randn(2, 1, 32000)
    scores, _ = ours(wavs[:, 0])
    assert torch.equal(model(wavs), scores)
    assert model.num_frames(32000) == scores.size(1) and model.dimension == scores.size(2)
    told = model.specifications
    assert (told.duration, told.powerset_max_classes, len(told.classes)) == (2.0, 2, 3)
    assert torch.equal(Powerset(3, 2).mapping, ours.powerset.mapping)
    grid, field = FrameGrid.of(ours.encoder.config), model.receptive_field
    assert field.step == pytest.approx(grid.shift)
    assert field.start + field.duration / 2 == pytest.approx(grid.centre)
    whole = audio.Inference(model)({"waveform": wavs[0], "sample_rate": 16000})
    assert whole.data.shape[-1] == 3  # speakers, of its own windows and powerset


def test_its_file_holds_tensors_and_plain_values(folders: tuple[Path, Path]) -> None:
    path = folders[1] / "segmentation" / "pytorch_model.bin"
    assert torch.load(path, weights_only=True)["state_dict"]


def test_its_pipeline_finds_our_turns(folders: tuple[Path, Path], recording: Path) -> None:
    source, exported = folders
    pipeline, ours = audio.Pipeline.from_pretrained(exported), Diarizer.from_pretrained(source)
    expected, heard = ours(recording), []
    found = pipeline(recording, hook=lambda *_, completed, **__: heard.append(completed))
    assert len(expected.labels()) > 1 and len(expected.get_overlap()) > 0
    assert found.speaker_diarization == expected and heard[-1] == len(heard) - 1
    assert len(found.speaker_embeddings) == len(expected.labels())
    assert pipeline.to(torch.device("cpu")) is pipeline
    samples, rate = soundfile.read(recording, dtype="float32")
    file = {"waveform": torch.from_numpy(samples)[None], "sample_rate": rate, "uri": "noise"}
    two = pipeline(file, num_speakers=2).speaker_diarization
    assert two == ours(recording, num_speakers=2) and len(two.labels()) == 2


def test_turns_without_overlap_are_a_part_of_all(
    folders: tuple[Path, Path], recording: Path
) -> None:
    found = audio.Pipeline.from_pretrained(folders[1])(recording)
    alone, whole = found.exclusive_speaker_diarization, found.speaker_diarization
    assert not alone.get_overlap()
    assert alone.get_timeline().support() == whole.get_timeline().support()
    for name in alone.labels():
        left_over = alone.label_timeline(name).extrude(whole.label_timeline(name))
        assert left_over.duration() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("number", [None, 1])
def test_names_are_the_same_without_overlap(
    folders: tuple[Path, Path], tmp_path: Path, number: int | None
) -> None:
    pipeline = audio.Pipeline.from_pretrained(folders[1])
    pipeline.diarizer = Diarizer(scripted_model(), InferenceConfig(step=1.0, median=1))
    # The second voice is first heard below another one, and alone after the third.
    turns = [(0, 4, 0), (1, 3, 1), (4.5, 6, 2), (6.5, 8, 1)]
    found = pipeline(write_script(tmp_path / "script.wav", turns, 9), num_speakers=number)
    whole, alone = found.speaker_diarization, found.exclusive_speaker_diarization
    assert len(whole.labels()) == (number or 3)
    assert list(alone.itertracks(yield_label=True))[-1][2] == whole.argmax(Segment(7, 7.5))
    assert alone.labels() == whole.labels()


def test_options_and_an_embedding_head(folders: tuple[Path, Path], recording: Path) -> None:
    source, exported = folders
    config = yaml.safe_load((exported / "config.yaml").read_text())
    options = {"embedding": "head", "step": 1.0, "threshold": 1.0}
    params = config["pipeline"]["params"]
    params["inference"] |= options
    changed = exported / "changed.yaml"
    changed.write_text(yaml.safe_dump(config))
    found = audio.Pipeline.from_pretrained(changed)(recording).speaker_diarization
    assert found == Diarizer.from_pretrained(source, InferenceConfig(**options))(recording)
    params["inference"] |= {"step": "soon"}
    changed.write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigError, match="inference: step: expected a number, found 'soon'"):
        audio.Pipeline.from_pretrained(changed)


def test_silence_has_no_turns(folders: tuple[Path, Path]) -> None:
    pipeline = audio.Pipeline.from_pretrained(folders[1])
    with torch.no_grad():  # nobody, whatever it hears
        pipeline.segmentation.model.head.classifier.bias[0] = 1e9
    found = pipeline({"waveform": torch.zeros(1, 16000), "sample_rate": 16000})
    assert not found.speaker_diarization and not found.exclusive_speaker_diarization
    assert len(found.speaker_embeddings) == 0


def test_an_encoder_is_refused(tmp_path: Path) -> None:
    make("hubert-base").save_pretrained(tmp_path / "encoder")
    with pytest.raises(SystemExit, match="export: expected a diarization model .* an encoder"):
        main([str(tmp_path / "encoder"), str(tmp_path / "out"), "--target", "pyannote"])
    assert [each.name for each in tmp_path.iterdir()] == ["encoder"]
