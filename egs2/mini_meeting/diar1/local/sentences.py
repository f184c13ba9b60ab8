"""Things to say: a small grammar of English meeting talk, and back-channels."""

from __future__ import annotations

import re

import numpy as np

BACK_CHANNELS = (
    "mhm.",
    "uh huh.",
    "yeah.",
    "right.",
    "okay.",
    "sure.",
    "oh.",
    "I see.",
    "yes.",
    "exactly.",
    "hmm.",
    "of course.",
    "oh really?",
    "good point.",
)

_TEMPLATES = (
    "{opener} {person} {will} {verb} the {adjective} {noun} {time}.",
    "{opener} I {think} the {noun} {is} {adjective}.",
    "Could {person} {verb} the {noun} {time}?",
    "What about the {adjective} {noun} {place}?",
    "The {noun} {place} {is} {adjective}, and the {noun} {is} {adjective}.",
    "{person} {will} {verb} {number} {things} {place}.",
    "{time}, {person} and {person} {will} {verb} the {noun}.",
    "We need {number} {things} and a {adjective} {noun}.",
    "Why does the {noun} need {number} {things}?",
    "{opener} that {is} {adjective}.",
    "I do not {verb} the {noun}, because the {noun} {is} {adjective}.",
    "Let us {verb} the {adjective} {noun} before we {verb} the {things}.",
    "How many {things} are {place}?",
    "It costs {number} dollars, which {is} {adjective}.",
    "{opener} {person} said that the {things} are {adjective}.",
    "If the {noun} {is} {adjective}, {person} {will} {verb} it {time}.",
)

_WORDS = {
    slot: tuple(words.split("|"))
    for slot, words in {
        "opener": "Well,|So|I mean|Actually,|Okay,|And|But|You know,|To be honest,|First of all,",
        "think": "think|guess|believe|hope|am sure|doubt that",
        "is": "is|was|seems|looks|is not|will be",
        "will": "will|should|could|would|might|must",
        "verb": "move|paint|check|open|measure|finish|describe|buy|choose|change|draw|build|follow|"
        "throw|record|discuss|clean|copy|deliver|join|answer|catch|review|shorten|weigh",
        "noun": "budget|report|design|kitchen|button|window|battery|customer|remote|picture|box|"
        "question|garden|station|thermometer|project|village|voice|machine|harbour|language|"
        "teacher|weather chart|shape|jungle|oil price|journey|theory|youth club|choice",
        "things": "apples|chairs|pages|tickets|letters|boxes|numbers|voices|treasures|toys|houses|"
        "shoes|fish|yoghurts|judges|clothes|mushrooms|cables",
        "adjective": "cheap|useful|strange|heavy|yellow|modern|quiet|curved|costly|simple|noisy|"
        "huge|fresh|thin|early|famous|orange|square|tiny|wooden|powerful|joyful",
        "person": "I|you|we|they|my brother|the manager|Susan|George|Oliver|Zoe|the engineer|"
        "Charlotte|our neighbour|Thomas|your doctor|Hugo|Yasmin|the whole team",
        "number": "two|three|four|five|seven|eleven|twelve|fifteen|twenty one|forty|sixty six|"
        "a hundred|two thousand",
        "time": "today|tomorrow morning|on Friday|next week|after lunch|in July|this evening|"
        "before the meeting|at half past nine|every Thursday|in the long run",
        "place": "in the office|on the table|near the river|behind the church|on this page|outside|"
        "at the airport|in the north|under the bridge|from the shop",
    }.items()
}


def sentence(rng: np.random.Generator) -> str:
    """Returns a random sentence."""
    template = str(rng.choice(_TEMPLATES))
    return re.sub(r"{(\w+)}", lambda slot: str(rng.choice(_WORDS[slot[1]])), template)


def back_channel(rng: np.random.Generator) -> str:
    """Returns a random sign of attention."""
    return str(rng.choice(BACK_CHANNELS))
