"""The ``README.md`` of an encoder's folder, which Hugging Face shows as its model card."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from espnet_prune.encoder.config import SSLConfig

CARD = "README.md"
UNNAMED = "path/to/this/folder"
_CARD = """\
---
library_name: espnet_prune
pipeline_tag: feature-extraction
tags:
{tags}
---

# {title}

{summary}

## Shape

{convolutions}

{layers}

## Use

In Python:

```python
import torch
from espnet_prune import SSLEncoder

encoder = SSLEncoder.from_pretrained("{name}")
hidden_states, lengths = encoder(torch.randn(1, 16000))
```
{transformers}
In the configuration of an ESPnet task:

```yaml
frontend: pruned_ssl
frontend_conf:
  model: {name}
```

In s3prl:

    python -m s3prl.run_downstream -m train -u pruned_wavlm -k {name} \\
        -d diarization -c config.yaml -p result

"""
_TRANSFORMERS = """
In transformers, with espnet_prune installed:

    AutoModel.from_pretrained("{name}", trust_remote_code=True)
"""


def model_card(
    config: SSLConfig, num_params: int, name: str = UNNAMED, sparse: bool = False
) -> str:
    """Describe an encoder in Markdown; ``name`` is what users load it by.

    That its file is ``sparse`` means that transformers does not read it.
    """
    tags = ["speech", config.family, *(["pruned"] if is_pruned(config) else [])]
    text = _CARD.format(
        tags="\n".join(f"- {tag}" for tag in tags),
        title=f"{config.rules.title} encoder with {num_params / 1e6:.2f} M parameters",
        summary=_summary(config, num_params),
        convolutions=_table(
            ("convolution", "channels", "kernel", "stride"),
            ((c.channels, c.kernel, c.stride) for c in config.conv_layers),
        ),
        layers=_table(
            ("layer", f"heads (of {config.num_heads})", "which", "FFN units"),
            ((len(x.heads), " ".join(map(str, x.heads)), x.ffn) for x in config.layers),
        ),
        name=name,
        transformers="" if sparse else _TRANSFORMERS.format(name=name),
    )
    return text + _mark(text)


def is_pruned(config: SSLConfig) -> bool:
    """Whether anything in ``config`` tells of units that the dense encoder had."""
    return (
        config.channel_scale
        or any(layer.kept is not None for layer in config.conv_layers)
        or any(layer.ffn_kept is not None for layer in config.layers)
        or any(len(layer.heads) < config.num_heads for layer in config.layers)
        or len({layer.ffn for layer in config.layers}) > 1
    )


def is_unedited(card: str) -> bool:
    """Whether :func:`model_card` wrote all of ``card``, of whichever encoder."""
    text, start, _ = card.rpartition("<!--")
    return bool(start) and card == text + _mark(text)


def _mark(text: str) -> str:
    # Tells a card that describes an earlier encoder from one that somebody wrote.
    checksum = f"{zlib.crc32(text.encode()):08x}"
    return f"<!-- Made from config.json; not remade once edited. {checksum} -->\n"


def _summary(config: SSLConfig, num_params: int) -> str:
    rules, layers = config.rules, len(config.layers)
    return (
        f"This is a{' pruned' if is_pruned(config) else ''} speech encoder of the {rules.title} "
        f"family: {len(config.conv_layers) + (rules.projection_kernel > 1)} convolutions and "
        f"{layers} {'pre' if config.norm_first else 'post'}-norm Transformer layers of width "
        f"{config.embed_dim}, {num_params:,} parameters. It hears 16 kHz waveforms, "
        f"{rules.hearing(config)}, and gives {layers + 1} hidden states, with a frame every "
        f"{config.hop / 16:g} ms."
    )


def _table(header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    cells = [header, ("---",) * len(header), *((i, *row) for i, row in enumerate(rows))]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in cells)
