"""``espnet-prune VERB ...``: all commands of this project under one name."""

import ast
import importlib
import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from pathlib import Path

from espnet_prune import __version__
from espnet_prune.bin import GROUPS


def get_parser() -> ArgumentParser:
    """The parser of the verb; what follows it is the verb's own."""
    parser = ArgumentParser(
        prog="espnet-prune",
        usage="%(prog)s VERB ...",
        description="Structured pruning of speech encoders. espnet-prune VERB --help tells more.",
        epilog=_listed(),
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("verb", metavar="VERB", type=_verb, help="one of those below")
    return parser


def main(cmd: list[str] | None = None) -> None:
    words = sys.argv[1:] if cmd is None else cmd
    verb = get_parser().parse_args(words[:1]).verb
    # What argparse shows in a usage.
    sys.argv[0] = f"espnet-prune {verb}"
    importlib.import_module(f"espnet_prune.bin.{verb}").main(words[1:])


def _verb(word: str) -> str:
    name = word.replace("-", "_")
    if not any(name in verbs for verbs in GROUPS.values()):
        raise ArgumentTypeError(f"found {word!r}; espnet-prune --help lists all")
    return name


def _listed() -> str:
    """The verbs with the first sentence on each; none is imported, for that takes seconds."""
    lines = []
    for group, verbs in GROUPS.items():
        lines += ["", f"{group}:"]
        for verb in verbs:
            source = Path(__file__).with_name(f"{verb}.py").read_text(encoding="utf-8")
            summary = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
            lines.append(f"  {verb:17} {summary}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
