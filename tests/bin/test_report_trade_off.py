"""Error against cost: the table, the knee, the picture, and what is refused."""

import json
import random

import pytest

from espnet_prune.bin import report
from espnet_prune.encoder import SSLEncoder
from espnet_prune.pruning import Pruner, PruningConfig
from espnet_prune.report.trade_off import Point, knee
from tests.pruning.training import big_encoder


def folders(path, targets):
    encoder = big_encoder()
    for target in targets:
        config = PruningConfig(target, 0, gate="magnitude", tolerance=0.02)
        Pruner(encoder, config).apply_to(encoder).save_pretrained(path / f"s{target}")


def test_table_and_picture(tmp_path, capsys):
    targets = {0.3: 0.1, 0.5: 0.11, 0.7: 0.3}
    folders(tmp_path, targets)
    given_ = []
    for index, (target, error) in enumerate(targets.items()):
        scores = {"wer": error, "wer_interval": [error - 0.01, error + 0.01]} if index else {
            "der": error, "der_low": None, "der_high": None}  # fmt: skip
        (tmp_path / f"{target}.json").write_text(json.dumps(scores))
        given_.append(f"{tmp_path}/s{target}={tmp_path}/{target}.json")
    report.main(["trade_off", *given_, "--output", str(tmp_path / "curve.png")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[2:]] == ["s0.7", "s0.5", "s0.3"]
    assert "11.00 (10.0-12.0)" in lines[3] and "knee" in lines[3]
    assert (tmp_path / "curve.png").stat().st_size > 1000
    assert SSLEncoder.from_pretrained(tmp_path / "s0.3").history


def test_what_is_refused(tmp_path, capsys):
    folders(tmp_path, [0.3])
    (tmp_path / "x.json").write_text("{}")
    for given_, told in (
        (str(tmp_path), "expected MODEL=SCORES"),
        (f"{tmp_path}/s0.3={tmp_path}/x.json", "expected a rate of der or wer"),
    ):
        with pytest.raises(SystemExit):
            report.main(["trade_off", given_])
        assert told in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(50))
def test_the_knee_is_beaten_by_none_and_within_the_ends(seed):
    draw = random.Random(seed)
    points = [Point(str(i), draw.randint(1, 9), draw.random(), None) for i in range(seed % 9)]
    best = knee(points)
    if best is not None:
        assert not any(p.cost <= best.cost and p.error <= best.error and p[1:] != best[1:]
                       for p in points)  # fmt: skip
        assert min(p.cost for p in points) < best.cost


def test_a_straight_line_has_no_knee():
    assert knee([Point(str(x), x, 1 - x / 4, None) for x in range(1, 4)]) is None
