"""Word error rate, character error rate and, with --intent, the accuracy of intents."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_prune.bin.errors import explained
from espnet_prune.report.table import Table, percent
from espnet_prune.scoring.wer import AsrScores, read_texts, score, write_scores


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path, help="text file: an utterance and its words a line")
    parser.add_argument(
        "hypothesis", type=Path, help="the same, as asr_inference writes to 1best_recog/text"
    )
    parser.add_argument(
        "--intent",
        action="store_true",
        help="the first word of each line is an intent; the error rates are of the others",
    )
    parser.add_argument(
        "--utt2spk",
        type=Path,
        help="speakers of the utterances, over whom intervals are; else over utterances",
    )
    parser.add_argument("--output", type=Path, help="JSON file to write the scores to as well")
    return parser


def render(scores: AsrScores) -> str:
    """The scores as a Markdown table; rates in percent."""
    wer = percent(scores.wer, scores.wer_interval)
    header = ["Snt", "Wrd", "WER", "CER", "S.Err"]
    row = [str(scores.utterances), str(scores.words), wer, percent(scores.cer), percent(scores.ser)]
    if scores.intent_accuracy is not None:
        header.append("intent accuracy")
        row.append(percent(scores.intent_accuracy, scores.intent_interval))
    return Table(header, [row], words=0).markdown()


def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(cmd)
    with explained("score_asr"):
        reference, hypothesis = read_texts(args.reference), read_texts(args.hypothesis)
        speakers = read_texts(args.utt2spk) if args.utt2spk else None
        scores = score(reference, hypothesis, args.intent, speakers)
        if args.output:
            write_scores(scores, args.output)
        print(render(scores))


if __name__ == "__main__":
    main()
