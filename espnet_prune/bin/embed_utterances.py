"""Write the speaker embeddings of whole utterances, ``utterance number number …``, one a line.

Example: python -m espnet_prune.bin.embed_utterances exp/pruned data/train --embedding campplus \\
    --output data/train/campplus
"""

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from espnet_prune.bin.diarizer_options import add_config_option, read_config
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


def get_parser() -> ArgumentParser:
    parser = embedder_parser(__doc__)
    parser.add_argument("--embedding", metavar="NAME", help="in place of the configuration's")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    return parser


def embedder_parser(description: str | None) -> ArgumentParser:
    """The model, the data and the configuration of commands that embed utterances."""
    parser = ArgumentParser(
        description=description,
        epilog=f"An embedding is one of\n{embeddings_help()}",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="a diarization model, or an encoder of any format")
    parser.add_argument("data_dir", type=Path, help="directory with wav.scp and utt2spk")
    add_config_option(parser)
    return parser


def load_embedders(args: Namespace, names: Sequence[str] | None) -> dict[str, UtteranceEmbedder]:
    """The embedders of these names, or the configuration's."""
    config = read_config(args.config, InferenceConfig())
    encoder = SSLEncoder.from_pretrained(args.model)
    form = inference_form(encoder, fast_dtype(config.precision))
    embedders = {}
    for name in names or [config.embedding]:
        chosen = with_companions(replace(config, embedding=name), Path(args.model))
        embedder = make_embedder(chosen.embedding, encoder.config, chosen.embedding_layer)
        embedders[name] = UtteranceEmbedder(embedder, form)
    return embedders


@explained("embed_utterances")
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    require_writable(args.output)
    data = read_whole_utterances(args.data_dir)
    (embed,) = load_embedders(args, [args.embedding] if args.embedding else None).values()
    lines = []
    for key, path in progress(data.wavs.items(), "utterances"):
        values = embed(read_samples(path)).tolist()
        lines.append(" ".join([key, *(f"{value:.6g}" for value in values)]))
    write_lines(args.output, lines)


if __name__ == "__main__":
    main()
