"""A study: what is read, the order of its nodes, runs that go on, results of what is finished."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.evidence import run_study, table
from benchmarks.evidence.results import NODE, Row
from benchmarks.evidence.score_windows import count_errors
from benchmarks.evidence.study import Study
from espnet_prune.bin import make_windows
from espnet_prune.data.rttm import Turn, write_rttm
from espnet_prune.encoder import ConfigError, SSLEncoder
from espnet_prune.pruning import count_params
from tests.export.meeting import MEETING, SECONDS, knowing_model, write_meeting

STUDIES = Path(run_study.__file__).parent
SCORES = {"units": {"a": [1, 4], "b": [2, 4]}}
TOY = {
    "question": "Does a smaller one cost less?",
    "recipe": "egs2/mini_meeting/diar_prune1",
    "prepare": "echo prepared",
    "data": {},
    "values": {"start": "whisper_tiny_en"},
    "scores": {"test": "cp {scores} {output}"},
    "rate": "errors",
    "units": "recordings",
    "reference": "half",
    "nodes": {
        "half": {"title": "half", "verb": "compress",
                 "options": "{start} --pruning_conf target=0.5"},
        "shape": {"verb": "compress", "options": "{half}/model --pruning_conf target=0.5"},
        "random": {"title": "random", "verb": "benchmarks.evidence.randomize",
                   "options": "{shape}/model --seed {seed}", "after": ["shape"]},
    },
}  # fmt: skip


@pytest.fixture
def toy(tmp_path):
    path = tmp_path / "toy.yaml"
    (tmp_path / "scores.json").write_text(json.dumps(SCORES))
    TOY["values"]["scores"] = str(tmp_path / "scores.json")
    path.write_text(yaml.safe_dump(TOY, sort_keys=False))
    return path


@pytest.mark.parametrize("file", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_studies_can_be_read_and_their_configs_are_there(file):
    study = Study.read(file)
    recipe = run_study.ROOT / study.recipe
    for name, node in study.nodes.items():
        assert not node.config or (recipe / node.config).is_file()
        assert {*node.after} <= {*list(study.nodes)[: list(study.nodes).index(name)]}
        assert list(study.commands(name, 0, Path("exp")))
    for name in study.arms:
        steps = [study.nodes[each].steps for each in (*study.nodes[name].after, name)]
        assert sum(steps) > 0


def test_a_study_runs_once_goes_on_and_makes_the_same_again(toy, tmp_path, capfd):
    folder = tmp_path / "out"
    command = [str(toy), "--output", str(folder), "--seeds", "0", "1"]
    run_study.main([*command, "--arms", "half"])
    assert not (folder / "random").exists()
    first = (folder / "half" / "0" / "node.json").stat().st_mtime_ns
    run_study.main(command)
    assert (folder / "half" / "0" / "node.json").stat().st_mtime_ns == first
    weights = [folder / "random" / str(seed) / "model" for seed in (0, 1)]
    small, other = (SSLEncoder.from_pretrained(path) for path in weights)
    half = SSLEncoder.from_pretrained(folder / "half" / "0" / "model")
    assert abs(count_params(small.config).total / count_params(half.config).total - 0.5) < 0.005
    assert not torch.equal(small.front_end.projection.weight, other.front_end.projection.weight)
    rows = [Row(**values) for values in json.loads((folder / "RESULTS.json").read_text())]
    assert [(row.arm, row.seed) for row in rows] == [
        ("half", 0), ("half", 1), ("random", 0), ("random", 1)
    ]  # fmt: skip
    assert rows[-1].params == count_params(small.config).total
    page = table.render(rows)
    assert "37.50" in page and "+0.00" in page  # three errors in eight
    table.plot(rows, tmp_path / "figure.png", "test")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_a_node_that_fails_leaves_the_others_and_can_be_made_again(toy, tmp_path, capfd):
    broken = TOY | {"nodes": TOY["nodes"] | {"shape": {"verb": "compress", "options": "nothing"}}}
    toy.write_text(yaml.safe_dump(broken, sort_keys=False))
    folder = tmp_path / "out"
    command = [str(toy), "--output", str(folder), "--seeds", "0"]
    with pytest.raises(SystemExit):
        run_study.main(command)
    assert (folder / "half" / "0" / NODE).exists() and not (folder / "random" / "0" / NODE).exists()
    toy.write_text(yaml.safe_dump(TOY, sort_keys=False))
    run_study.main(command)
    assert (folder / "random" / "0" / NODE).exists()


def test_what_other_commands_made_is_not_taken_for_the_studys(toy, tmp_path, capfd):
    command = [str(toy), "--output", str(tmp_path / "out"), "--seeds", "0", "--arms", "half"]
    run_study.main(command)
    toy.write_text(toy.read_text().replace("target=0.5", "target=0.6"))
    with pytest.raises(SystemExit):
        run_study.main(command)
    assert "found what other commands have made" in capfd.readouterr().err


@pytest.mark.parametrize(
    "change, told",
    [({"reference": "shape"}, "expected reference to be one of half, random"),
     ({"nodes": {"half": {"title": "x", "verb": "compress", "options": "{later}/model"}}}, "later"),
     ({"nodes": {"half": {"title": "x", "verb": "asr_train", "steps": 150, "config": "x"}}},
      "a multiple of 100 steps"),
     ({"nodes": {"half": {"title": "x", "verb": "compress", "steps": 100}}}, "of a training alone"),
     ({"nodes": {"half": {"titel": "x", "verb": "compress"}}}, "titel")],
)  # fmt: skip
def test_a_study_that_cannot_be_is_refused(change, told, toy):
    toy.write_text(yaml.safe_dump(TOY | change, sort_keys=False))
    with pytest.raises(ConfigError, match=told):
        Study.read(toy)


@pytest.fixture
def meetings(tmp_path):
    """The same recording twice; of the second one the reference lacks a voice."""
    write_meeting(tmp_path / "meeting.wav")
    turns = {
        name: [Turn(name, start, end - start, str(voice)) for start, end, voice in MEETING
               if name == "a" or voice]
        for name in ("a", "b")
    }  # fmt: skip
    write_rttm(tmp_path / "rttm", turns)
    (tmp_path / "wav.scp").write_text("".join(f"{n} {tmp_path / 'meeting.wav'}\n" for n in turns))
    (tmp_path / "uem").write_text("".join(f"{name} 1 0 {SECONDS}\n" for name in turns))
    make_windows.main([str(tmp_path), "--window_size", "4", "--window_shift", "4"])
    return tmp_path / "windows"


def test_windows_are_counted_one_by_one_and_summed_by_recording(meetings):
    found = count_errors(knowing_model(), meetings)
    assert found["windows"] == 6
    assert found["units"]["a"][0] == 0 < found["units"]["a"][1]
    missing = sum(end - start for start, end, voice in MEETING if voice == 0)
    errors, speech = found["units"]["b"]
    assert abs(errors - missing / 0.02) <= 4  # false alarms; edges are a frame or two apart
    assert errors + speech == found["units"]["a"][1]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_counts_do_not_depend_on_the_batch(meetings, batch_size):
    assert count_errors(knowing_model(), meetings, batch_size) == count_errors(
        knowing_model(), meetings
    )
