"""What is said in the corpus for language understanding: commands of eight intents."""

from __future__ import annotations

ROOMS = ("kitchen", "bedroom", "bathroom", "office", "garage")

INTENTS: dict[str, tuple[str, ...]] = {
    "light_on": (
        "{polite} turn on the {light} {where}",
        "{polite} switch the {light} on {where}",
        "we need the {light} {where}",
        "it is too dark {where}",
        "{polite} let there be {light} {where}",
    ),
    "light_off": (
        "{polite} turn off the {light} {where}",
        "{polite} switch the {light} off {where}",
        "nobody needs the {light} {where}",
        "it is too bright {where}",
    ),
    "heat_up": (
        "{polite} turn the {heat} up {where}",
        "{polite} make it {number} degrees warmer {where}",
        "it is {very} cold {where}",
        "{polite} raise the {heat} by {number} degrees {where}",
    ),
    "heat_down": (
        "{polite} turn the {heat} down {where}",
        "{polite} make it {number} degrees cooler {where}",
        "it is {very} hot {where}",
        "{polite} lower the {heat} by {number} degrees {where}",
    ),
    "music_play": (
        "{polite} play some {music} {where}",
        "{polite} put on {music} {where}",
        "we want to hear {music} {where}",
        "how about some {music} {where}",
    ),
    "music_stop": (
        "{polite} stop the {music} {where}",
        "{polite} no more {music} {where}",
        "the {music} {where} is {very} loud",
        "we do not like this {music} {where}",
    ),
    "alarm_set": (
        "{polite} wake me at {hour} {day}",
        "{polite} set an alarm for {hour} {day}",
        "i must get up at {hour} {day}",
        "do not let me sleep after {hour} {day}",
    ),
    "weather_ask": (
        "will it rain in {city} {day}",
        "{polite} tell me the weather in {city} {day}",
        "do i need a coat in {city} {day}",
        "how warm is it in {city} {day}",
    ),
}
FILLERS: dict[str, tuple[str, ...]] = {
    "where": ("", *(f"in the {room}" for room in ROOMS)),
    **{
        slot: tuple(words.split("|"))
        for slot, words in {
            "polite": "|please|now",
            "light": "light|lamp",
            "heat": "heating|radiator",
            "very": "very|too|far too",
            "number": "two|three|five",
            "music": "music|jazz|piano music|rock|songs",
            "hour": "five|six|seven|half past eight",
            "day": "today|tomorrow|on monday|on sunday",
            "city": "paris|london|berlin|madrid",
        }.items()
    },
}
