"""ESPnet's speaker models as embeddings: a model of random weights, from its files."""

from __future__ import annotations

import pytest
import torch
import yaml
from espnet2.bin.spk_inference import Speech2Embedding
from espnet2.tasks.spk import SpeakerTask

from espnet_prune.diarization.embedding import make_embedder
from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.diarization.embedding.espnet import ESPnetEmbedder
from espnet_prune.storage import CheckpointError
from tests.encoders import tiny_config

OPTIONS = {
    "frontend": "melspec_torch",
    "frontend_conf": {"n_mels": 20, "n_fft": 512, "win_length": 400, "hop_length": 160},
    "encoder": "xvector",
    "encoder_conf": {"ndim": 8, "output_size": 12},
    "pooling": "stats",
    "projector": "xvector",
    "projector_conf": {"output_size": 6},
    "loss_conf": {"margin": 0.3, "scale": 30},
    "spk_num": 3,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An unpacked archive, as ESPnet's own packer lays it out."""
    folder = tmp_path_factory.mktemp("espnet")
    args = SpeakerTask.get_parser().parse_args(["--output_dir", "none"])
    for key, value in OPTIONS.items():
        setattr(args, key, value)
    torch.manual_seed(0)
    model = SpeakerTask.build_model(args)
    (folder / "exp/spk").mkdir(parents=True)
    torch.save(model.state_dict(), folder / "exp/spk/10epoch.pth")
    (folder / "exp/spk/config.yaml").write_text(yaml.safe_dump(vars(args)))
    meta = {
        "files": {"model_file": "exp/spk/10epoch.pth"},
        "yaml_files": {"train_config": "exp/spk/config.yaml"},
    }
    (folder / "meta.yaml").write_text(yaml.safe_dump(meta))
    return folder


@pytest.fixture(scope="module")
def stretch():
    torch.manual_seed(1)
    return Stretch(torch.randn(64000), (0, 16000), 48000)


def weights():
    weights = torch.zeros(2, 149, 3)
    weights[0, 10:50, 0] = 1
    weights[0, 100:140, 0] = 0.5
    weights[1, :5, 1] = 1
    return weights


def test_a_local_speaker_is_the_utterance_of_its_frames(folder, stretch):
    file = folder / "exp/spk/10epoch.pth"
    reference = Speech2Embedding(str(file.parent / "config.yaml"), str(file))
    found = make_embedder(f"espnet:{folder}", tiny_config())(stretch, {}, weights())
    samples = stretch.samples
    expected = reference(torch.cat([samples[3200:16000], samples[32000:44800]]))[0]
    torch.testing.assert_close(found[0, 0], expected)
    repeated = reference(samples[16000:17600].repeat(5))[0]
    torch.testing.assert_close(found[1, 1], repeated)
    heard = weights().any(1)
    assert found.shape == (2, 3, 6) and not found[~heard].any()
    assert (found[0, 0] - found[1, 1]).abs().max() > 1e-3


@pytest.mark.parametrize("size", [160, 4960])
def test_half_a_frame_at_the_end_counts_as_one(folder, size):
    frames = size // 320 + 1  # as Whisper counts them
    weights = torch.zeros(1, frames, 1)
    weights[0, -1] = 1
    found = ESPnetEmbedder.from_pretrained(str(folder / "exp/spk/10epoch.pth"))(
        Stretch(torch.randn(size), (0,), size), {}, weights
    )
    assert found.shape == (1, 1, 6) and found.isfinite().all() and found.any()


def test_neither_batch_nor_other_speakers_matter(folder, stretch):
    embedder = ESPnetEmbedder.from_pretrained(str(folder / "exp/spk/10epoch.pth"))
    window = Stretch(stretch.samples[16000:], (0,), 48000)
    alone = embedder(window, {}, weights()[1:, :, 1:2])
    torch.testing.assert_close(alone[0, 0], embedder(stretch, {}, weights())[1, 1])


def test_nobody_speaks(folder, stretch):
    found = make_embedder(f"espnet:{folder}", tiny_config())(stretch, {}, torch.zeros(2, 149, 3))
    assert found.shape[:2] == (2, 3) and not found.any()


def test_a_folder_without_a_model(folder, tmp_path):
    with pytest.raises(CheckpointError, match=r"meta\.yaml.*pass the \*\.pth file"):
        make_embedder(f"espnet:{tmp_path}", tiny_config())
    (tmp_path / "meta.yaml").write_text("files: {}\n")
    with pytest.raises(CheckpointError, match="names a model_file"):
        make_embedder(f"espnet:{tmp_path}", tiny_config())
