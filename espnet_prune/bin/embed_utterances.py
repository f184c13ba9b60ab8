"""Write the speaker embeddings of whole utterances, ``utterance number number …``, one a line.

Example: python -m espnet_prune.bin.embed_utterances exp/pruned data/train --embedding campplus \\
    --output data/train/campplus
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from espnet_prune.bin.diarizer_options import read_config
from espnet_prune.bin.errors import explained
from espnet_prune.data.tables import write_lines
from espnet_prune.diarization.embedding import embeddings_help, make_embedder
from espnet_prune.diarization.embedding.utterances import (
    UtteranceEmbedder,
    read_samples,
    read_whole_utterances,
)
from espnet_prune.diarization.inference_config import InferenceConfig, with_companions
from espnet_prune.encoder import SSLEncoder
from espnet_prune.inference import fast_dtype, inference_form
from espnet_prune.progress import progress
from espnet_prune.storage.files import require_writable


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"An embedding is one of\n{embeddings_help()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_embedder_options(parser)
    parser.add_argument("--embedding", metavar="NAME", help="in place of the configuration's")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    return parser


def add_embedder_options(parser: argparse.ArgumentParser) -> None:
    """Add the model, the data and the configuration of commands that embed utterances."""
    parser.add_argument("model", help="a diarization model, or an encoder of any format")
    parser.add_argument(
        "data_dir",
        type=Path,
        help="wav.scp and utt2spk; spk2gender and spk2age (years) make groups of one sex and age, "
        "under 18 or not, within which pairs are scored as well",
    )
    parser.add_argument(
        "--config", type=Path, help="YAML with keyword arguments of InferenceConfig"
    )


def load_embedders(
    args: argparse.Namespace, names: Sequence[str] | None
) -> dict[str, UtteranceEmbedder]:
    """The embedders of these names, or the configuration's.

    Raises:
        ConfigError, CheckpointError: see :func:`make_embedder`.
    """
    config = read_config(args.config, InferenceConfig())
    encoder = SSLEncoder.from_pretrained(args.model)
    form = inference_form(encoder, fast_dtype(config.precision))
    embedders = {}
    for name in names or [config.embedding]:
        chosen = with_companions(replace(config, embedding=name), Path(args.model))
        embedder = make_embedder(chosen.embedding, encoder.config, chosen.embedding_layer)
        embedders[name] = UtteranceEmbedder(embedder, form)
    return embedders


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("embed_utterances"):
        require_writable(args.output)
        data = read_whole_utterances(args.data_dir)
        names = [args.embedding] if args.embedding else None
        (embed,) = load_embedders(args, names).values()
        lines = []
        for key, path in progress(data.wavs.items(), "utterances"):
            values = embed(read_samples(path)).tolist()
            lines.append(" ".join([key, *(f"{value:.6g}" for value in values)]))
        write_lines(args.output, lines)


if __name__ == "__main__":
    main()
