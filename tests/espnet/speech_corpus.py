"""Utterances of noise with words to them, and what ESPnet's speech tasks need to train on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sentencepiece
import soundfile

from tests.espnet.trainer_options import trainer_options

WORDS = ("red", "green", "blue", "light", "lamp", "door")
SYMBOLS = ("<blank>", "<unk>"), ("<sos/eos>",)


def write_corpus(folder: Path, utterances: int = 8) -> Path:
    """Write wav.scp, text and utt2num_samples of utterances of about one second."""
    generator = np.random.default_rng(0)
    tables: dict[str, list[str]] = {"wav.scp": [], "text": [], "utt2num_samples": []}
    for index in range(utterances):
        samples = 16000 + 800 * (index % 3)
        wav = folder / f"u{index}.wav"
        soundfile.write(wav, 0.1 * generator.standard_normal(samples), 16000)
        words = " ".join(generator.choice(WORDS, 3))
        for name, value in zip(tables, (wav, words, samples), strict=True):
            tables[name].append(f"u{index} {value}\n")
    for name, lines in tables.items():
        (folder / name).write_text("".join(lines))
    return folder


def write_tokens(folder: Path, kind: str) -> list[str]:
    """Write a token list of a ``kind`` of token; returns ESPnet's options for it."""
    options = ["--token_type", kind, "--token_list", str(folder / kind)]
    if kind == "word":
        tokens = list(WORDS)
    elif kind == "char":
        tokens = [*sorted(set("".join(WORDS))), "<space>"]
    else:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(WORDS * 4),
            model_prefix=str(folder / "spm"),
            vocab_size=20,
            minloglevel=2,
        )
        model = str(folder / "spm.model")
        pieces = sentencepiece.SentencePieceProcessor(model_file=model)
        tokens = [pieces.id_to_piece(i) for i in range(3, pieces.get_piece_size())]
        options += ["--bpemodel", model]
    before, after = SYMBOLS
    (folder / kind).write_text("\n".join([*before, *tokens, *after]) + "\n")
    return options


def training_options(corpus: Path, output_dir: Path, encoder: Path) -> list[str]:
    """ESPnet's options of two short epochs of CTC on the layers' sum."""
    config = output_dir.with_suffix(".yaml")
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("encoder: null\ndecoder: null\n")
    command = trainer_options(
        config=config,
        output_dir=output_dir,
        frontend="pruned_ssl",
        frontend_conf=f"model={encoder}",
        model_conf="ctc_weight=1.0",
        normalize="none",
    )
    for split in ("train", "valid"):
        command += [f"--{split}_shape_file", str(corpus / "utt2num_samples")]
        for file, name, kind in (("wav.scp", "speech", "sound"), ("text", "text", "text")):
            command += [f"--{split}_data_path_and_name_and_type", f"{corpus / file},{name},{kind}"]
    return command
