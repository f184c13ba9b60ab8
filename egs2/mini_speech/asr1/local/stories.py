"""What is said in the corpus for speech recognition: who did what, where and when."""

from __future__ import annotations

import numpy as np
from grammar import draw

TEMPLATES = (
    "{person} {verb} {number} {colour} {things} {place}",
    "{time} {person} {verb} the {colour} {things}",
    "{person} and {person} {verb} {number} {things} {time}",
    "there are {number} {colour} {things} {place}",
    "{place} {person} {verb} {number} {things}",
    "the {colour} {things} {place} are {quality}",
)
FILLERS = {
    slot: tuple(words.split("|"))
    for slot, words in {
        "person": "george|susan|oliver|charlotte|thomas|the teacher|the doctor|my brother",
        "verb": "bought|found|painted|carried|opened|moved|washed|counted",
        "number": "two|three|four|five|six|seven|nine|twelve|twenty",
        "colour": "red|blue|green|yellow|black|white|brown",
        "things": "boxes|apples|chairs|tickets|letters|pictures|bottles|windows",
        "place": "in the garden|in the kitchen|near the river|behind the church|on the table|"
        "at the station|under the bridge",
        "time": "today|yesterday|on friday|last week|this morning|after lunch",
        "quality": "heavy|cheap|very old|quite new|too small",
    }.items()
}


def story(rng: np.random.Generator, index: int, set_name: str) -> str:
    """Returns a sentence of a set, in lower case and without punctuation.

    Args:
        rng: source of every choice.
        index: number of the utterance; templates take turns.
        set_name: train, dev or test.
    """
    return draw(rng, TEMPLATES[index % len(TEMPLATES) :][:1], FILLERS, set_name)
