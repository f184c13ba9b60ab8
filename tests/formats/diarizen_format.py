"""DiariZen's release written from the description of its format, and what its head computes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.formats.dphubert_format import LAYERS, Reference, dphubert_config, dphubert_state

MODEL = "diarizen.models.eend.model_wavlm_conformer.Model"
ARGS = {
    "wavlm_src": "wavlm.bin",
    "wavlm_layer_num": 6,
    "wavlm_feat_dim": 32,
    "attention_in": 12,
    "ffn_hidden": 20,
    "num_head": 3,
    "num_layer": 2,
    "kernel_size": 5,
    "dropout": 0.2,
    "chunk_size": 2,
    "use_posi": False,
    "output_activate_function": False,
    "selected_channel": 0,
    "max_speakers_per_chunk": 3,
    "max_speakers_per_frame": 2,
}
PIPELINE = """
[inference.args]
seg_duration = 2
segmentation_step = 0.1
batch_size = 32
apply_median_filtering = true

[clustering.args]
method = "VBxClustering"
min_speakers = 1
max_speakers = 20
ahc_threshold = 0.6
"""
CONVS = [(14, 10, 5), (10, 3, 2), (9, 3, 2), (9, 3, 2), (8, 3, 2), (12, 2, 2), (11, 2, 2)]


class Release:
    """A small release in ``folder``, with a WavLM file beside it that tells the shape.

    Args:
        size: of the WavLM, see ``tests.encoders.NORMS``.
        layers: heads and FFN units of its layers.
        args: changes of ``[model.args]``.
    """

    def __init__(self, folder: Path, size: str, layers: Any = LAYERS, **args: Any):
        self.folder = folder
        self.args = {**ARGS, "wavlm_layer_num": len(layers) + 1, **args}
        self.config = dphubert_config("wavlm", size, layers, extractor_conv_layer_config=CONVS)
        self.encoder = dphubert_state(self.config)
        self.head = random_head(self.args)
        torch.save({"config": self.config, "state_dict": {}}, folder / "wavlm.bin")
        self.write()

    @property
    def state(self) -> dict[str, Tensor]:
        """What a ``pytorch_model.bin`` holds."""
        return {f"wavlm_model.{key}": value for key, value in self.encoder.items()} | self.head

    def write(self, model: str = MODEL) -> None:
        """Write the folder, of the model class ``model``."""
        args = "".join(f"{key} = {json.dumps(value)}\n" for key, value in self.args.items())
        text = f'[model]\npath = "{model}"\n\n[model.args]\n{args}{PIPELINE}'
        (self.folder / "config.toml").write_text(text)
        torch.save(self.state, self.folder / "pytorch_model.bin")

    def hidden_states(self, wavs: Tensor) -> list[Tensor]:
        """What the original's WavLM gives for ``(B, T)``: N + 1 states ``(B, L, D)``."""
        reference = Reference(self.config, self.encoder)
        each = [reference([wav]) for wav in wavs]
        return [torch.cat(states) for states in zip(*each, strict=True)]

    def log_probabilities(self, wavs: Tensor) -> Tensor:
        """What the original's model gives for ``(B, T)``: ``(B, L, K)``."""
        return head_reference(self.head, self.args, self.hidden_states(wavs))


def random_head(args: Mapping[str, Any]) -> dict[str, Tensor]:
    """Weights of everything behind the WavLM."""
    hidden, ffn = args["attention_in"], args["ffn_hidden"]
    speakers = args["max_speakers_per_chunk"]
    classes = sum(math.comb(speakers, k) for k in range(args["max_speakers_per_frame"] + 1))
    shapes = {
        "weight_sum.weight": (1, args["wavlm_layer_num"]),
        **_affine("proj", hidden, args["wavlm_feat_dim"]),
        **_affine("lnorm", hidden),
        **_affine("classifier", classes, hidden),
    }
    for index in range(args["num_layer"]):
        block = f"conformer.conformer_layer.{index}"
        for ffn_name in ("ffn1", "ffn2"):
            shapes |= _affine(f"{block}.{ffn_name}.ln_norm", hidden)
            shapes |= _affine(f"{block}.{ffn_name}.w_1", ffn, hidden)
            shapes |= _affine(f"{block}.{ffn_name}.w_2", hidden, ffn)
        shapes |= _affine(f"{block}.mha.ln_norm", hidden)
        for letter in "QKVO":
            shapes |= _affine(f"{block}.mha.mha.linear{letter}", hidden, hidden)
        shapes |= _affine(f"{block}.conv.ln_norm", hidden)
        shapes |= _affine(f"{block}.conv.pointwise_conv1", 2 * hidden, hidden, 1)
        shapes |= _affine(f"{block}.conv.depthwise_conv", hidden, 1, args["kernel_size"])
        shapes |= _affine(f"{block}.conv.bn_norm", hidden)
        shapes |= {f"{block}.conv.bn_norm.running_{name}": (hidden,) for name in ("mean", "var")}
        shapes |= _affine(f"{block}.conv.pointwise_conv2", hidden, hidden, 1)
        shapes |= _affine(f"{block}.ln_norm", hidden)
    generator = torch.Generator().manual_seed(3)
    state = {}
    for name, shape in shapes.items():
        around_one = name.endswith(("norm.weight", "running_var"))
        scale = 1.5 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.1
        state[name] = around_one + scale * torch.randn(shape, generator=generator)
        if name.endswith("running_var"):
            state[name] = state[name].abs()
            state[name.replace("running_var", "num_batches_tracked")] = torch.tensor(7)
    return state


def head_reference(
    state: Mapping[str, Tensor], args: Mapping[str, Any], states: Sequence[Tensor]
) -> Tensor:
    """Hidden states ``(B, L, D)`` to log-probabilities ``(B, L, K)``, from the raw weights."""

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])

    def conv(x: Tensor, name: str, **kwargs: int) -> Tensor:
        return F.conv1d(x, state[f"{name}.weight"], state[f"{name}.bias"], **kwargs)

    def feed(x: Tensor, name: str) -> Tensor:
        inner = F.silu(linear(norm(x, f"{name}.ln_norm"), f"{name}.w_1"))
        return x + 0.5 * linear(inner, f"{name}.w_2")

    def attend(x: Tensor, name: str) -> Tensor:
        y = norm(x, f"{name}.ln_norm")
        q, k, v = (
            linear(y, f"{name}.mha.linear{letter}").unflatten(-1, (args["num_head"], -1))
            for letter in "QKV"
        )
        scores = torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(q.size(-1))
        heads = torch.einsum("bhij,bjhd->bihd", scores.softmax(-1), v)
        return x + linear(heads.flatten(2), f"{name}.mha.linearO")

    def convolve(x: Tensor, name: str) -> Tensor:
        y = norm(x, f"{name}.ln_norm").transpose(1, 2)
        value, gate = conv(y, f"{name}.pointwise_conv1").chunk(2, dim=1)
        sides = {"padding": args["kernel_size"] // 2, "groups": args["attention_in"]}
        y = conv(value * gate.sigmoid(), f"{name}.depthwise_conv", **sides)
        batch_norm = {
            key: state[f"{name}.bn_norm.{key}"][:, None]
            for key in ("running_mean", "running_var", "weight", "bias")
        }
        y = (y - batch_norm["running_mean"]) / (batch_norm["running_var"] + 1e-5).sqrt()
        y = F.silu(y * batch_norm["weight"] + batch_norm["bias"])
        return x + conv(y, f"{name}.pointwise_conv2").transpose(1, 2)

    weights = state["weight_sum.weight"][0]
    x = sum(weight * hidden for weight, hidden in zip(weights, states, strict=True))
    x = norm(linear(x, "proj"), "lnorm")
    for index in range(args["num_layer"]):
        block = f"conformer.conformer_layer.{index}"
        x = feed(x, f"{block}.ffn1")
        x = convolve(attend(x, f"{block}.mha"), f"{block}.conv")
        x = norm(feed(x, f"{block}.ffn2"), f"{block}.ln_norm")
    return linear(x, "classifier").log_softmax(-1)


def _affine(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
