"""One grid of frames: whatever the encoder's, known speech comes back to within a hop."""

import numpy as np
import pytest
import soundfile
import torch

from espnet_prune.data import Turn
from espnet_prune.diarization import FrameGrid, frame_labels
from espnet_prune.diarization.local import LocalSpeakers
from espnet_prune.diarization.pipeline import Diarizer, InferenceConfig
from espnet_prune.encoder import PRESETS, ConfigError, ConvLayerConfig
from tests.diarization.scripted import SCALE, scripted_model
from tests.encoders import random_encoder, tiny_config

GRIDS = [
    ((10, 4), (5, 4), (8, 8)),
    ((400, 160),),
    ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)),
    ((720, 640),),
    ((1280, 640),),
]

ENCODERS = [
    *(
        tiny_config(
            conv_layers=tuple(ConvLayerConfig(4, kernel, stride) for kernel, stride in grid)
        )
        for grid in GRIDS
    ),
    tiny_config("whisper", "own"),
    tiny_config("whisper", "padded"),
]


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("window", [2.0, 1.99, 2.013])
@pytest.mark.parametrize("step", [0.5, "window"])
def test_known_speech_comes_back_to_within_a_hop(encoder, window, step, tmp_path):
    model = scripted_model(window_size=window, encoder=encoder)
    samples = np.zeros(round(23.7 * 16000))
    for start, end, voice in [(1.0, 21.0, 0), (20.0, 23.0, 1)]:
        samples[round(start * 16000) : round(end * 16000)] += (1 << voice) / SCALE
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="PCM_24")
    config = InferenceConfig(step=window if step == "window" else step, median=1)
    first, second = Diarizer(model, config).diarize(tmp_path / "a.wav", "a")
    hop = model.encoder.config.hop / 16000
    found = [first.start, first.end, second.start, second.end]
    assert found == pytest.approx([1.0, 21.0, 20.0, 23.0], abs=hop)


@pytest.mark.parametrize("encoder", ENCODERS)
@torch.no_grad()
def test_frames_are_those_of_the_encoder(encoder):
    frames, model = FrameGrid.of(encoder), random_encoder(encoder)
    for samples in (frames.shortest, 12345, 32000):
        assert frames.num_frames(samples) == model(torch.randn(1, samples))[0][0].size(1)
    assert frames.num_frames(1) == frames.num_frames(frames.shortest - 1) == 0


@pytest.mark.parametrize("encoder", ENCODERS)
@torch.no_grad()
def test_a_frame_hears_as_much_before_its_centre_as_after(encoder):
    front_end, field = random_encoder(encoder).front_end, encoder.receptive_field
    wavs = torch.randn(1, 24000).clamp(-1, 1)
    masks = (None,) * len(encoder.conv_layers)
    before, _ = front_end(wavs, None, masks)
    for place in (8000, 8123, 8160, 12345):
        wavs[:, place] += 2.0
        after, _ = front_end(wavs, None, masks)
        (changed,) = (before != after).any(-1).any(0).nonzero(as_tuple=True)
        distances = encoder.first_centre + encoder.hop * changed - place
        assert len(changed) and distances.abs().max() <= field / 2
        before = after


def test_whispers_first_frame_is_centred_on_the_first_sample():
    grid = FrameGrid.of(PRESETS["whisper_tiny"]())
    assert (grid.name, grid.centre, grid.shift) == ("320_160_0", 0, 0.02)
    assert [grid.num_frames(samples) for samples in (159, 160, 479, 480, 128000)] == [
        *(0, 1, 1, 2, 400)
    ]


def test_labels_lie_at_the_centres_of_the_grid():
    grid = FrameGrid(640, 1280)
    turn = Turn("a", grid.centre + grid.shift, 2 * grid.shift, "s")
    assert frame_labels([turn], 0, 5, 1, grid)[:, 0].tolist() == [0, 1, 1, 0, 0]


@pytest.mark.parametrize("step", [2.5, 1e-9])
def test_steps_that_leave_audio_unheard_are_refused(step):
    with pytest.raises(ConfigError, match="expected a step of"):
        Diarizer(scripted_model(), InferenceConfig(step=step))


def test_windows_shorter_than_a_frame_are_refused():
    with pytest.raises(ConfigError, match="expected windows of 0.025 s, which one frame hears"):
        Diarizer(scripted_model(window_size=0.022), InferenceConfig(step=0.02))


def test_labels_have_no_gaps_and_missing_speakers_are_told(caplog):
    diarizer = Diarizer(scripted_model(), InferenceConfig(step=0.5, num_speakers=3))
    diarizer.label = lambda *_: np.array([[2, 0]])
    activity = np.ones((1, 99, 2), dtype=np.uint8)
    voices = np.eye(2, dtype=np.float32)
    local = LocalSpeakers(activity, np.zeros((1, 2), np.int64), voices, np.array([0]), 99)
    turns = diarizer.join(local, "a").turns
    assert [turn.speaker for turn in turns] == ["spk0", "spk1"]
    assert "expected 3 speakers or more, found 2" in caplog.text
