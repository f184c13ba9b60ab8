"""The command shows sets beside each other and averages them, each set counting the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from espnet_prune.bin import score_der
from espnet_prune.bin.report import main
from espnet_prune.report.rates import RATES


@pytest.fixture
def sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Score a long set with 10 % missed and a short one with 30 %."""
    paths = []
    for name, length, missed in (("AMI", 1000, 100), ("AliMeeting", 10, 3)):
        for file, start in (("ref", 0), ("hyp", missed)):
            (tmp_path / file).write_text("".join(
                f"SPEAKER m{n} 1 {start} {length - start} <NA> <NA> x <NA> <NA>\n" for n in (1, 2)
            ))  # fmt: skip
        score_der.main([
            f"{tmp_path}/ref", f"{tmp_path}/hyp", "--json",
            *(["--bootstrap", "50"] if name == "AMI" else []),
        ])  # fmt: skip
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(capsys.readouterr().out)
    return ["sets", *map(str, paths)]


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_table(sets: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(sets)
    header, _, *rows = cells(capsys.readouterr().out)
    assert header == ["set", "DER %", "miss", "FA", "conf", "JER %", "DER, 95 % interval"]
    assert rows == [
        ["AMI", "10.00", "10.00", "0.00", "0.00", "10.00", "10.00 to 10.00"],
        ["AliMeeting", "30.00", "30.00", "0.00", "0.00", "30.00", ""],
        ["macro average", "20.00", "20.00", "0.00", "0.00", "20.00", ""],
    ]


def test_published(sets: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(["sets", *reversed(sets[1:]), "--published", "14.5", "9"])
    header, _, *rows = cells(capsys.readouterr().out)
    assert header[-1] == "published DER %"
    assert [(row[0], row[-1]) for row in rows] == [
        ("AliMeeting", "14.50"), ("AMI", "9.00"), ("macro average", "11.75"),
    ]  # fmt: skip
    with pytest.raises(SystemExit, match="expected a published DER for each of 2 sets, found 1"):
        main([*sets, "--published", "14.5"])


def test_files_of_one_name(
    sets: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pruned").mkdir()
    other = Path(sets[1]).rename(tmp_path / "pruned" / "AliMeeting.json")
    main(["sets", sets[2], str(other)])
    assert [row[0] for row in cells(capsys.readouterr().out)[2:4]] == [sets[2], str(other)]
    with pytest.raises(SystemExit, match="expected each set once"):
        main(["sets", sets[2], sets[2]])


@pytest.mark.parametrize(
    "change, message",
    [
        (dict.fromkeys(rate.key for rate in RATES), "AMI: expected a set with speech"),
        ({"jer": None}, "AMI: expected a set with speech"),
        ({"confusion": None}, "score_der --json"),
        ({"recordings": 1}, "score_der --json"),
    ],
)
def test_bad_files(sets: list[str], change: dict[str, Any], message: str) -> None:
    path = Path(sets[1])
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(SystemExit, match=f"report: .*{message}"):
        main(sets)
