"""The voices of the corpus: what distinguishes one from another, and which set each belongs to."""

from __future__ import annotations

from dataclasses import dataclass

# Variants of espeak-ng that sound like people and differ from each other, from low to high pitch.
# Whispers, robots, echoes and near copies of another variant are left out.
# fmt: off
VARIANTS = (
    "david", "ian", "Storm", "m8", "paul", "quincy", "Mike", "mike2", "m4", "m1", "victor",
    "Gene", "Andy", "Lee", "Denis", "kaukovalta", "sandro", "iven4", "iven2", "m2", "m6", "fast",
    "marcelo", "edward", "klatt6", "benjamin", "m5", "max", "norbert", "klatt5", "klatt3",
    "RicishayMax", "RicishayMax2", "Tweaky", "john", "boris", "travis", "pedro", "m3",
    "AnxiousAndy", "Alex", "michel", "robert", "m7", "grandpa", "Henrique", "Hugo", "Michael",
    "antonio", "pablo", "Mario", "gustave", "Jacky", "Reed", "ed", "Marco", "Nguyen", "aunty",
    "f1", "f4", "shelby", "steph", "f2", "grandma", "f5", "f3", "linda", "belinda", "Annie",
    "Andrea", "Alicia", "anika",
)
# fmt: on
ACCENTS = (
    "en-us",
    "en",
    "en-gb-scotland",
    "en-029",
    "en-us-nyc",
    "en-gb-x-rp",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
)
# Ratios that keep the resampling from 22.05 to 16 kHz at small whole numbers.
WARPS = (0.9, 1.0, 1.12)
SETS = ("train", "dev", "test")


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker.

    Attributes:
        name: identifier of the speaker.
        variant: espeak-ng variant, which sets formants, breath and roughness; voices of one
            variant belong to one set.
        accent: espeak-ng language.
        warp: factor on all frequencies, like a shorter (> 1) or longer (< 1) vocal tract.
        pitch: espeak-ng pitch, 0 to 99.
        pitch_range: espeak-ng pitch range, 0 to 99.
        rate: words per minute.
        tilt: coefficient of a first-order filter; positive is brighter, negative is darker.
    """

    name: str
    variant: str
    accent: str
    warp: float
    pitch: int
    pitch_range: int
    rate: int
    tilt: float


def _spread(index: int, step: float, low: float, high: float) -> float:
    """Returns the `index`-th point of a sequence that covers [low, high) evenly."""
    return low + (high - low) * (index * step % 1.0)


def _voice(position: int, take: int) -> Voice:
    """Returns one of the `len(WARPS)` voices made of the variant at a position of the list."""
    index = position * len(WARPS) + take
    variant = VARIANTS[position]
    # Irrational steps, so that no two traits move together.
    return Voice(
        name=f"v{index:03d}-{variant.lower()}",
        variant=variant,
        accent=ACCENTS[(position + 3 * take) % len(ACCENTS)],
        warp=WARPS[take],
        pitch=round(_spread(index, 0.6180339887, 32, 68)),
        pitch_range=round(_spread(index, 0.4142135624, 30, 80)),
        rate=round(_spread(index, 0.7320508076, 145, 200)),
        tilt=round(_spread(index, 0.2360679775, -0.35, 0.45), 3),
    )


def voices_of(set_name: str) -> tuple[Voice, ...]:
    """Returns the voices of a set; no voice or variant is in two sets.

    Of every eight neighbours in the list of variants (ordered by pitch) the fourth speaks in dev
    only, the eighth in test only and the other six in train, whatever the seed.

    Raises:
        ValueError: if there is no such set.
    """
    if set_name not in SETS:
        raise ValueError(f"expected one of the sets {', '.join(SETS)}, found {set_name!r}")
    owner = {3: "dev", 7: "test"}
    return tuple(
        _voice(position, take)
        for position in range(len(VARIANTS))
        if owner.get(position % 8, "train") == set_name
        for take in range(len(WARPS))
    )
