"""The coffee orders of Picovoice's speech-to-intent benchmark: an intent and its slots.

All of them have the intent ``orderDrink``, so that what is to be told first is the drink: the label
is ``orderDrink_<drink>``, as in SLURP ``<scenario>_<action>``. There are no transcripts; the words
after it are the slots' values, in one order (people say the first three in any). Nor is there a
speaker: every order counts as its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from espnet_prune.data.corpora.utterances.corpus import SpeechCorpus, Utterance, built_as
from espnet_prune.storage.config_files import read_json

REPOSITORY = "https://github.com/Picovoice/speech-to-intent-benchmark"
LABELS = "label/label.json"
DRINK = "coffeeDrink"
SLOTS = ("size", "numberOfShots", "roast", DRINK, "milkAmount", "sugarAmount")
# The part of an order by the first digit of its random identifier.
_DIGITS = {"train": "012345678", "dev": "9a", "test": "bcdef"}
_PART_OF = {digit: part for part, digits in _DIGITS.items() for digit in digits}


def find(folder: Path, part: str) -> Iterator[Utterance]:
    """List the orders of ``label/label.json``, which lie in ``speech/clean``."""
    orders = read_json(folder / LABELS)
    expected = f"the intent and slots of each order, {DRINK} and others"
    with built_as(expected, str(folder / LABELS), REPOSITORY):
        texts = {name.removesuffix(".wav"): _text(order) for name, order in orders.items()}
    for name, text in sorted(texts.items()):
        if _PART_OF.get(name[:1]) == part:
            yield Utterance(name, name, folder / "speech" / "clean" / f"{name}.wav", text)


def _text(order: Mapping[str, Any]) -> str:
    slots = order["slots"]
    if unknown := slots.keys() - set(SLOTS):
        raise ValueError(f"a slot {min(unknown)}")
    words = " ".join(slots[slot] for slot in SLOTS if slot in slots).split()
    return " ".join([f"{order['intent']}_{'_'.join(slots[DRINK].split())}", *words])


BARISTA = SpeechCorpus(
    title="Picovoice's coffee orders",
    home=f"{REPOSITORY} (Apache-2.0)",
    layout="label/label.json and speech/clean/, as the repository has them in data/",
    # Together the 625 recordings of the repository.
    parts={"train": 362, "dev": 88, "test": 175},
    sets={part: [part] for part in _DIGITS},
    default_sets=list(_DIGITS),
    lists=lambda _: [LABELS],
    find=find,
    speakers_apart=False,
)
