"""An encoder in a model of transformers."""

from __future__ import annotations

from os import PathLike
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from espnet_prune.encoder import SSLEncoder
from espnet_prune.encoder.checks import CheckpointError
from espnet_prune.encoder.norm import length_mask
from espnet_prune.encoder.typed import shortened
from espnet_prune.places.transformers.config import SSLEncoderConfig
from espnet_prune.storage.auto_files import write_auto_files
from espnet_prune.storage.checkpoint import empty_encoder


class SSLEncoderModel(PreTrainedModel):
    """An :class:`.SSLEncoder` of any family, dense or pruned."""

    config_class = SSLEncoderConfig
    base_model_prefix = "encoder"
    main_input_name = "input_values"
    input_modalities = "audio"

    def __init__(self, config: SSLEncoderConfig):
        super().__init__(config)
        self.encoder = SSLEncoder(config.shape())
        self.post_init()

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutput | tuple[Any, ...]:
        """Encode waveforms as they are; the encoder scales them itself where it must.

        Args:
            input_values: 16 kHz waveforms ``(B, T)``, padded at the end.
            attention_mask: ``(B, T)``, 1 at samples and 0 at padding.
            output_hidden_states: whether to give ``hidden_states``, N + 1 tensors ``(B, L, D)``
                as in :class:`.EncoderOutput`, beside ``last_hidden_state``.
            return_dict: whether to give both by name; a tuple otherwise.

        Raises:
            ValueError: an item is shorter than one frame, or padded elsewhere than at its end.
        """
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        states, _ = self.encoder.stream(input_values, _lengths(attention_mask))
        if output_hidden_states:
            hidden = tuple(states)
            output = BaseModelOutput(hidden[-1], hidden)
        else:
            *_, last = states
            output = BaseModelOutput(last)
        named = self.config.return_dict if return_dict is None else return_dict
        return output if named else output.to_tuple()

    @classmethod
    def from_pretrained(cls, *args: Any, output_loading_info: bool = False, **options: Any) -> Any:
        """As every model of transformers does, but strictly.

        Raises:
            CheckpointError: the file lacks weights, or has others.
        """
        loaded: Any = super().from_pretrained(*args, output_loading_info=True, **options)
        model, info = loaded
        named = {"missing": info["missing_keys"], "surplus": info["unexpected_keys"]}
        if found := [f"{what}: {shortened(sorted(keys))}" for what, keys in named.items() if keys]:
            raise CheckpointError(
                f"{model.name_or_path}: expected the weights that the config describes and no "
                f"others, found tensors {'; '.join(found)}; get or write the folder again"
            )
        # transformers leaves empty what no file holds: the indices of heads, mel filters.
        saved = model.encoder.state_dict()
        for name, buffer in empty_encoder(model.config.shape()).named_buffers():
            if name not in saved:
                model.encoder.get_buffer(name).copy_(buffer)
        return (model, info) if output_loading_info else model

    def save_pretrained(  # type: ignore[override]
        self,
        save_directory: str | PathLike[str],
        is_main_process: bool = True,
        state_dict: dict[str, Tensor] | None = None,
        **options: Any,
    ) -> None:
        """Write a folder that :meth:`.SSLEncoder.from_pretrained` reads as well."""
        state = self.state_dict() if state_dict is None else state_dict
        own = {name.removeprefix("encoder."): value for name, value in state.items()}
        if is_main_process:
            write_auto_files(save_directory)
        super().save_pretrained(save_directory, is_main_process, own, **options)

    def _init_weights(self, module: Any) -> None:
        """Nothing: encoders draw their own weights."""

    @classmethod
    def register_for_auto_class(cls, auto_class: Any = "AutoModel") -> None:
        """Nothing: the code that a folder holds is no copy of this file."""


def _lengths(mask: Tensor | None) -> Tensor | None:
    """Samples of each item ``(B,)`` of a mask ``(B, T)``."""
    if mask is None:
        return None
    lengths = mask.long().sum(1)
    # An accelerator is not waited for.
    readable = mask.device.type == "cpu"
    if readable and not torch.equal(mask.bool(), length_mask(lengths, mask.size(1))):
        raise ValueError(
            "expected an attention_mask of ones, then zeros, found another; pad items at the end"
        )
    return lengths
