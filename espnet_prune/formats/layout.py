"""What describes transformers' models of a family, for the importer and the exporter alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from espnet_prune.encoder.config import SSLConfig
from espnet_prune.formats.conversion import Table


class Preprocessor(NamedTuple):
    """The file that says what is done to waveforms, and its values; None if there is none."""

    path: Path
    values: Mapping[str, Any] | None


class Weights(NamedTuple):
    """The source's tensors by name, where ours are among them, and which have no place here."""

    state: Mapping[str, Tensor]
    table: Table
    dropped: Mapping[str, str]


class Layout(NamedTuple):
    """How transformers keeps the encoders of a family.

    Attributes:
        model: transformers' class.
        table: from our names to its own, without what models with a head have before them.
        read: our config of its config's values and its preprocessor, None in memory; the source is
            for errors.
        select: what of a model's tensors makes the encoder of a config.
        write: the values of its config, but for class and family.
        write_preprocessor: the values of its preprocessor.
        obstacles: why it has no model of a config, beyond what holds for all.
    """

    model: str
    table: Table
    read: Callable[[Mapping[str, Any], Preprocessor | None, object], SSLConfig]
    select: Callable[[SSLConfig, Mapping[str, Tensor], object], Weights]
    write: Callable[[SSLConfig], dict[str, Any]]
    write_preprocessor: Callable[[SSLConfig], dict[str, Any]]
    obstacles: Callable[[SSLConfig], Iterator[str]] = lambda _: iter(())
