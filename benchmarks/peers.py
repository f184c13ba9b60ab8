"""The other implementations: each saves our encoder in its own format, and loads it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_prune.encoder import SSLConfig, SSLEncoder
from espnet_prune.formats import export_huggingface, fairseq, torchaudio
from espnet_prune.formats.conversion import source_state
from espnet_prune.storage.config_files import read_json

SHAPE = "shape.json"
Run = Callable[[Tensor], Sequence[Tensor]]
"""From waveforms ``(B, T)`` to hidden states ``(B, L, D)``, the encoder's output last."""


def save_torchaudio(encoder: SSLEncoder, folder: Path, precisions: Sequence[str]) -> None:
    """Write the weights that :func:`load_torchaudio` reads."""
    torch.save(torchaudio_model(encoder).state_dict(), folder / "torchaudio.pt")


def torchaudio_model(encoder: SSLEncoder) -> Any:
    """torchaudio's model of a dense ``encoder``, with a copy of its weights, in eval mode."""
    rows = torchaudio.WAVLM_ROWS if encoder.config.family == "wavlm" else {}
    state = source_state(encoder.state_dict(), {**torchaudio.TABLE, **rows})
    model = _torchaudio_model(encoder.config).eval()
    shapes = model.state_dict()
    fitted = {key: value.reshape(shapes[key].shape).clone() for key, value in state.items()}
    model.load_state_dict(fitted, assign=True)
    return model


def load_torchaudio(folder: Path, precision: str, device: str) -> Run:
    """torchaudio's own model; int8 quantises every ``nn.Linear`` of it, which leaves WavLM's
    queries, keys and values in float32."""
    config = _shape(folder)
    model = _torchaudio_model(config).eval()
    model.load_state_dict(torch.load(folder / "torchaudio.pt"), assign=True)
    if precision == "int8":
        quantize = torch.ao.quantization.quantize_dynamic
        model = quantize(model, {nn.Linear}, dtype=torch.qint8, inplace=True)
    dtype = torch.float32 if precision == "int8" else getattr(torch, precision)
    model = model.to(device, dtype)

    def run(wavs: Tensor) -> Sequence[Tensor]:
        *states, last = model.extract_features(_normalized(wavs, config).to(dtype))[0]
        norm = model.encoder.transformer.layer_norm if config.norm_first else nn.Identity()
        return [*states, norm(last)]

    return run


def save_transformers(encoder: SSLEncoder, folder: Path, precisions: Sequence[str]) -> None:
    """Write the folder that :func:`load_transformers` reads."""
    export_huggingface(encoder, folder / "transformers")


def load_transformers(folder: Path, precision: str, device: str) -> Run:
    """transformers' own model, whose last hidden state alone passes the final norm."""
    from transformers import AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    config = _shape(folder)
    model = AutoModel.from_pretrained(folder / "transformers").to(device).eval()

    def run(wavs: Tensor) -> Sequence[Tensor]:
        output = model(_normalized(wavs, config), output_hidden_states=True)
        return [*output.hidden_states[:-1], output.last_hidden_state]

    return run


def save_s3prl(encoder: SSLEncoder, folder: Path, precisions: Sequence[str]) -> None:
    """Write a checkpoint of Microsoft's format, as s3prl reads it."""
    norms = fairseq.LAYER_NORM_ROW if encoder.config.conv_norm == "layer" else {}
    state = {}
    for key, value in source_state(encoder.state_dict(), {**fairseq.TABLE, **norms}).items():
        for number, old in enumerate(("weight_g", "weight_v")):
            key = key.replace(f"parametrizations.weight.original{number}", old)
        state[key] = value.view(1, -1, 1, 1) if key.endswith("grep_a") else value
    state["mask_emb"] = torch.zeros(encoder.config.embed_dim)  # for pre-training
    torch.save({"cfg": _microsoft_config(encoder.config), "model": state}, folder / "s3prl.pt")


def load_s3prl(folder: Path, precision: str, device: str) -> Run:
    """s3prl's upstream ``wavlm``, which normalises and pads by itself."""
    from s3prl.upstream.wavlm.expert import UpstreamExpert

    expert = UpstreamExpert(str(folder / "s3prl.pt")).to(device).eval()
    return lambda wavs: expert(list(wavs))["hidden_states"]


def save_onnx(encoder: SSLEncoder, folder: Path, precisions: Sequence[str]) -> None:
    """Export to the files that :func:`load_onnx` reads."""
    from espnet_prune.export import export_onnx

    export_onnx(encoder, folder / "float32.onnx")
    if "int8" in precisions:
        from onnxruntime.quantization import quantize_dynamic

        # As export_onnx does, which would trace and translate the model again.
        quantize_dynamic(
            folder / "float32.onnx",
            folder / "int8.onnx",
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
        )


def load_onnx(folder: Path, precision: str, device: str) -> Run:
    """Our own export in ONNX Runtime, with as many threads as PyTorch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        folder / f"{precision}.onnx", options, providers=["CPUExecutionProvider"]
    )

    def run(wavs: Tensor) -> Sequence[Tensor]:
        lengths = torch.full(wavs.shape[:1], wavs.size(1))
        inputs = {"wavs": wavs.numpy(), "lengths": lengths.numpy()}
        states, _ = session.run(None, inputs)
        return torch.from_numpy(states).unbind()

    return run


def _shape(folder: Path) -> SSLConfig:
    return SSLConfig.from_dict(read_json(folder / SHAPE))


def _normalized(wavs: Tensor, config: SSLConfig) -> Tensor:
    """What these libraries leave to their caller."""
    return F.layer_norm(wavs, wavs.shape[1:]) if config.normalize_waveform else wavs


def _torchaudio_model(config: SSLConfig) -> Any:
    """torchaudio's model of a dense ``config``, without memory for its weights."""
    from torchaudio.models import wav2vec2_model, wavlm_model

    arguments: dict[str, Any] = dict(
        extractor_mode=f"{config.conv_norm}_norm",
        extractor_conv_layer_config=[(c.channels, c.kernel, c.stride) for c in config.conv_layers],
        extractor_conv_bias=config.conv_bias,
        encoder_embed_dim=config.embed_dim,
        encoder_projection_dropout=config.projection_dropout,
        encoder_pos_conv_kernel=config.pos_conv_kernel,
        encoder_pos_conv_groups=config.pos_conv_groups,
        encoder_num_layers=len(config.layers),
        encoder_num_heads=config.num_heads,
        encoder_attention_dropout=config.attention_dropout,
        encoder_ff_interm_features=config.layers[0].ffn,
        encoder_ff_interm_dropout=config.ffn_dropout,
        encoder_dropout=config.hidden_dropout,
        encoder_layer_norm_first=config.norm_first,
        encoder_layer_drop=0.0,
        aux_num_out=None,
    )
    with torch.device("meta"):
        if config.family != "wavlm":
            return wav2vec2_model(**arguments)
        buckets = dict(
            encoder_num_buckets=config.num_buckets, encoder_max_distance=config.max_distance
        )
        return wavlm_model(**arguments, **buckets)


def _microsoft_config(config: SSLConfig) -> Mapping[str, Any]:
    return dict(
        extractor_mode={"group": "default", "layer": "layer_norm"}[config.conv_norm],
        encoder_layers=len(config.layers),
        encoder_embed_dim=config.embed_dim,
        encoder_ffn_embed_dim=config.layers[0].ffn,
        encoder_attention_heads=config.num_heads,
        layer_norm_first=config.norm_first,
        conv_feature_layers=str([(c.channels, c.kernel, c.stride) for c in config.conv_layers]),
        conv_bias=config.conv_bias,
        conv_pos=config.pos_conv_kernel,
        conv_pos_groups=config.pos_conv_groups,
        relative_position_embedding=True,
        num_buckets=config.num_buckets,
        max_distance=config.max_distance,
        gru_rel_pos=True,
        normalize=config.normalize_waveform,
    )
