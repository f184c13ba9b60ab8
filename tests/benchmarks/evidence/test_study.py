"""A study: what is read, the order of its nodes, runs that go on, results of what is finished."""

import json
from pathlib import Path

import pytest
import yaml

from benchmarks.evidence import run_node, run_study, table
from benchmarks.evidence.results import NODE, Row, check_made, collect
from benchmarks.evidence.run_study import makefile, needed
from benchmarks.evidence.score_windows import count_errors
from benchmarks.evidence.study import Study
from espnet_prune.bin import make_windows
from espnet_prune.data.rttm import Turn, write_rttm
from espnet_prune.encoder import PRESETS, ConfigError
from espnet_prune.pruning import count_params
from espnet_prune.storage.embedded import EMBEDDED
from tests.export.meeting import MEETING, SECONDS, knowing_model, write_meeting

STUDIES = Path(run_study.__file__).parent
SCORES = {"units": {"a": [1, 4], "b": [2, 4]}}
COPY = "tests.benchmarks.evidence.copy_model"
TOY = {
    "question": "Does a copy cost less?",
    "recipe": "egs2/mini_meeting/diar_prune1",
    "prepare": "echo prepared",
    "data": {},
    "scores": {"test": "cp {scores} {output}"},
    "rate": "errors",
    "units": "recordings",
    "reference": "copy",
    "nodes": {
        "copy": {"title": "copy", "verb": COPY, "options": "{start} --note {seed}"},
        "middle": {"verb": COPY, "options": "{copy}/model"},
        "end": {"title": "end", "verb": COPY, "options": "{middle}/model", "after": ["middle"]},
    },
}  # fmt: skip


@pytest.fixture
def toy(tmp_path):
    path = tmp_path / "toy.yaml"
    (tmp_path / "scores.json").write_text(json.dumps(SCORES))
    values = {"start": str(EMBEDDED["whisper_tiny_en"]), "scores": str(tmp_path / "scores.json")}
    path.write_text(yaml.safe_dump(TOY | {"values": values}, sort_keys=False))
    return path


@pytest.mark.parametrize("file", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_studies_can_be_read_and_their_configs_are_there(file):
    study = Study.read(file)
    recipe = run_study.ROOT / study.recipe
    for name, node in study.nodes.items():
        assert not node.config or (recipe / node.config).is_file()
        assert {*node.after} <= {*list(study.nodes)[: list(study.nodes).index(name)]}
        assert list(study.commands(name, 0, Path("exp")))


def make(toy, name, seed, folder):
    run_node.main([str(toy), name, "--seed", str(seed), "--output", str(folder)])


def test_what_is_finished_is_collected_and_compared(toy, tmp_path):
    folder = tmp_path / "out"
    for name in TOY["nodes"]:
        for seed in (0, 1):
            make(toy, name, seed, folder)
    assert (folder / "end" / "1" / "model" / "note").read_text() == "1"
    study = Study.read(toy)
    rows = [Row(**values) for values in json.loads(collect(study, folder))]
    assert [(row.arm, row.seed) for row in rows] == [
        ("copy", 0), ("copy", 1), ("end", 0), ("end", 1)
    ]  # fmt: skip
    dense = count_params(PRESETS["whisper_tiny_en"]()).total
    assert {row.params for row in rows} == {dense}
    page = table.render(rows)
    assert "37.50" in page and "+0.00" in page  # three errors in eight
    table.plot(rows, tmp_path / "figure.png", "test")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_a_node_that_fails_is_not_finished_and_can_be_made_again(toy, tmp_path, capfd):
    folder = tmp_path / "out"
    with pytest.raises(SystemExit):
        make(toy, "middle", 0, folder)  # before what it needs
    assert "ended with 1; see the end of" in capfd.readouterr().err
    assert not (folder / "middle" / "0" / NODE).exists()
    for name in ("copy", "middle"):
        make(toy, name, 0, folder)
    assert (folder / "middle" / "0" / NODE).exists()


def test_what_other_commands_made_is_not_taken_for_the_studys(toy, tmp_path):
    folder = tmp_path / "out"
    make(toy, "copy", 0, folder)
    check_made(Study.read(toy), ["copy"], [0, 1], folder)
    toy.write_text(toy.read_text().replace("--note", "--node"))
    with pytest.raises(ValueError, match="found what other commands have made"):
        check_made(Study.read(toy), ["copy"], [0, 1], folder)


def test_the_arms_asked_for_and_what_they_need(toy, tmp_path):
    study = Study.read(toy)
    assert needed(study, ["copy"]) == ["copy"]
    assert needed(study, ["end"]) == ["copy", "middle", "end"]
    rules = "\n".join(makefile(study, toy, needed(study, ["end"]), [3], tmp_path))
    for name, before in (("middle", "copy"), ("end", "middle")):
        assert f"{tmp_path}/{name}/3/{NODE}: | {tmp_path}/{before}/3/{NODE}\n" in rules


@pytest.mark.slow
def test_a_study_runs_once_and_goes_on(toy, tmp_path, capfd):
    folder = tmp_path / "out"
    command = [str(toy), "--output", str(folder), "--seeds", "0"]
    run_study.main([*command, "--arms", "copy"])
    assert not (folder / "end").exists()
    first = (folder / "copy" / "0" / NODE).stat().st_mtime_ns
    run_study.main(command)
    assert (folder / "copy" / "0" / NODE).stat().st_mtime_ns == first
    assert len(json.loads((folder / "RESULTS.json").read_text())) == 2


@pytest.mark.parametrize(
    "change, told",
    [({"reference": "middle"}, "expected reference to be one of copy, end"),
     ({"nodes": {"copy": {"title": "x", "verb": COPY, "options": "{later}/model"}}}, "later"),
     ({"nodes": {"copy": {"title": "x", "verb": "asr_train", "steps": 150, "config": "x"}}},
      "a multiple of 100 steps"),
     ({"nodes": {"copy": {"title": "x", "verb": COPY, "steps": 100}}}, "of a training alone"),
     ({"nodes": {"copy": {"titel": "x", "verb": COPY}}}, "titel")],
)  # fmt: skip
def test_a_study_that_cannot_be_is_refused(change, told, toy):
    toy.write_text(yaml.safe_dump(yaml.safe_load(toy.read_text()) | change, sort_keys=False))
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
