"""The networks in the form in which they run: the head, threads, parts of stretches."""

from __future__ import annotations

import pytest
import torch

from espnet_prune.diarization.embedding.base import Stretch
from espnet_prune.diarization.head import HeadConfig, PowersetHead
from espnet_prune.diarization.inference_config import InferenceConfig
from espnet_prune.diarization.pipeline import Diarizer
from tests.diarization.scripted import scripted_model, write_script

SCRIPT = [(0.5, 3.0, 0), (2.5, 6.1, 1), (7.0, 9.5, 2), (9.0, 12.0, 0), (12.2, 17.5, 1)]


@pytest.mark.parametrize("norm", ["group", "batch"])
def test_the_form_of_a_head_has_its_outputs(norm):
    torch.manual_seed(0)
    head = PowersetHead(24, 7, HeadConfig(32, 2, 4, 48, 5, norm=norm)).eval()
    for tensor in head.state_dict().values():  # statistics of batches, and biases, too
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape))
    features = torch.randn(3, 50, 24)
    with torch.no_grad():
        expected = head(features, torch.full((3,), 50))
    found = head.inference_form()(features)
    assert torch.allclose(found, expected, atol=1e-5) and not found.requires_grad
    rough = head.inference_form(torch.bfloat16)(features)
    assert rough.dtype == torch.float32 and (rough - expected).abs().max() < 0.2


def test_threads_do_not_matter(tmp_path):
    path = write_script(tmp_path / "m.wav", SCRIPT, 18.0)
    threads, found = torch.get_num_threads(), []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        try:
            found.append(Diarizer(scripted_model(), InferenceConfig(step=0.5)).run(path))
            assert torch.get_num_threads() == count
        finally:
            torch.set_num_threads(threads)
    assert found[0].turns and all(each.turns == found[0].turns for each in found)


def test_some_windows_of_a_stretch():
    stretch = Stretch(torch.arange(100.0), (0, 20, 40, 60), 30)
    part = stretch.part([1, 2])
    assert part.starts == (0, 20) and part.size == 30
    assert torch.equal(part.samples, torch.arange(20.0, 70.0))
