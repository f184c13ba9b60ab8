"""Students of a pruned encoder's size that no gate has chosen: what pruning is compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from espnet_prune.encoder import Masks, SSLConfig, SSLEncoder, open_masks
from espnet_prune.pruning import apply, count_params, masked_widths

_STEPS = 100


def random_student(shape: SSLConfig, seed: int) -> SSLEncoder:
    """An encoder of the pruned one's very ``shape``, which gates have found, with fresh weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SSLEncoder(shape).eval()


def uniform_student(teacher: SSLEncoder, num_params: int) -> SSLEncoder:
    """The teacher's first units, the same share of them in every layer, with its weights.

    Channels and heads come in few sizes: the share of FFN units makes up the difference, and the
    student is the one in which it differs least from theirs.

    Args:
        teacher: as deep as the student will be.
        num_params: the size to come as near to as whole units allow.

    Raises:
        ValueError: ``num_params`` is more than the teacher has, or less than its least.
    """
    config = teacher.config
    shares = [step / _STEPS for step in range(1, _STEPS + 1)]
    fitting = [(share, _fitting_ffn(config, share, num_params)) for share in shares]
    masks = _first_units(config, *min(fitting, key=lambda pair: abs(pair[0] - pair[1])))
    found = _num_params(config, masks)
    if abs(found - num_params) > 0.02 * num_params:
        raise ValueError(
            f"expected a size that the same share of units in every layer can have, found "
            f"{num_params} parameters, to which {found} are the nearest"
        )
    smaller, state = apply(config, teacher.state_dict(), masks)
    student = SSLEncoder(smaller)
    student.load_state_dict(state, strict=True)
    return student.eval()


def _fitting_ffn(config: SSLConfig, share: float, num_params: int) -> float:
    """The share of FFN units, beside ``share`` of all others, that comes nearest to the size."""
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        too_large = _num_params(config, _first_units(config, share, middle)) > num_params
        low, high = (low, middle) if too_large else (middle, high)
    return low


def _first_units(config: SSLConfig, share: float, ffn_share: float) -> Masks:
    """Masks that leave the first units of every layer, at least one of each kind."""

    def first(mask: Tensor, share: float) -> Tensor:
        count = max(1, round(share * mask.numel()))
        return (torch.arange(mask.numel()) < count).to(mask.dtype).reshape(mask.shape)

    masks = open_masks(config)
    units = {"conv": share, "head": share, "ffn": ffn_share}
    return masks._replace(
        **{
            kind: tuple(mask if mask is None else first(mask, portion) for mask in values)
            for kind, portion in units.items()
            for values in [getattr(masks, kind)]
        }
    )


def _num_params(config: SSLConfig, masks: Masks) -> int:
    return int(count_params(config, masked_widths(config, masks)).total)
