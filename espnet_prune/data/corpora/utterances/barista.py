"""The coffee orders of Picovoice's speech-to-intent benchmark: an intent and its slots.

All of them have the intent ``orderDrink``, so that what is to be told first is the drink: the label
is ``orderDrink_<drink>``, as in SLURP ``<scenario>_<action>``. There are no transcripts; the words
after it are the slots' values, in one order (people say the first three in any). Nor is there a
speaker: every order counts as its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espnet_prune.data.corpora.utterances.corpus import Found, SpeechCorpus, Utterance, audio_files
from espnet_prune.data.tables import DataError
from espnet_prune.storage.config_files import read_json

REPOSITORY = "https://github.com/Picovoice/speech-to-intent-benchmark"
DRINK = "coffeeDrink"
SLOTS = ("size", "numberOfShots", "roast", DRINK, "milkAmount", "sugarAmount")
# The part of an order by the first digit of its random identifier.
_DIGITS = {"train": "012345678", "dev": "9a", "test": "bcdef"}
_PART_OF = {digit: part for part, digits in _DIGITS.items() for digit in digits}


def find(folder: Path, part: str) -> Found:
    """Find the orders of ``label/label.json`` in ``speech/clean``; audio may have any format.

    Raises:
        ConfigError: the labels are no JSON object.
        DataError: they are malformed.
    """
    labels = folder / "label" / "label.json"
    if not labels.is_file():
        return Found((), [str(labels)])
    speech = folder / "speech" / "clean"
    files = audio_files(speech)
    utterances: list[Utterance] = []
    missing: list[str] = []
    for name, text in sorted(_texts(labels).items()):
        if _PART_OF.get(name[:1]) != part:
            continue
        if name in files:
            utterances.append(Utterance(name, name, files[name], text))
        else:
            missing.append(str(speech / f"{name}.wav"))
    return Found(utterances, missing)


def _texts(path: Path) -> dict[str, str]:
    """Read what each order is."""
    orders = read_json(path)
    try:
        return {name.removesuffix(".wav"): _text(order) for name, order in orders.items()}
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise DataError(
            f"{path}: expected the intent and slots of each order, {DRINK} and others, found "
            f"{type(error).__name__}: {error}; download it again from {REPOSITORY}"
        ) from error


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
    find=find,
    speakers_apart=False,
)
