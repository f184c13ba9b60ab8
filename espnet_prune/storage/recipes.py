"""Published methods by name: YAML files of this package, each of which says what it is."""

from __future__ import annotations

from pathlib import Path

from espnet_prune.encoder.typed import check_name

FOLDER = Path(__file__).parents[1] / "recipes"
"""A recipe is a file here, named after it: a comment whose first line tells it in a sentence, the
key ``recipe`` with its name, and options of the training commands."""


def recipe_names() -> list[str]:
    """The names of all recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def recipe_path(name: object) -> Path:
    """The file of a recipe; ConfigError if there is none of that name."""
    check_name("a recipe", name, recipe_names())
    return FOLDER / f"{name}.yaml"


def recipe_summary(name: str) -> str:
    """The first line of a recipe's comment."""
    return recipe_path(name).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
