"""ESPnet3 prunes as ESPnet2 does, and its recipe ends with what the gates left over."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch
import yaml
from espnet2.bin.asr_inference import Speech2Text
from espnet2.tasks.asr import ASRTask

from espnet_prune.encoder import ConfigError, SSLEncoder
from espnet_prune.espnet.apply_trained import apply_trained
from espnet_prune.espnet.objective import EncoderObjective
from espnet_prune.formats.espnet import load_trained
from espnet_prune.pruning import count_params, gates
from espnet_prune.storage import CheckpointError
from tests.encoders import mini_encoder

pytest.importorskip("egs3.mini_an4", reason="expected ESPnet 202609 or later")
pytest.importorskip("lightning", reason="expected ESPnet's extra train")
pytest.importorskip("dask.distributed", reason="expected ESPnet's extra train")
pytest.importorskip("jiwer", reason="expected ESPnet's extra asr")

from espnet3.components.modeling.lightning_module import ESPnetLightningModule
from espnet3.systems.esp2_asr.system import ASRSystem
from espnet3.systems.launch import launch
from omegaconf import OmegaConf

RECIPE = Path(__file__).parents[2] / "egs3/mini_an4/esp2_asr_prune"
CONFIGS = [
    word
    for role in ("training", "inference", "metrics")
    for word in (f"--{role}_config", f"conf/{role}.yaml")
]
PREPARED = ["create_dataset", "train_tokenizer", "collect_stats"]
TASKS = ["espnet2.tasks.asr.ASRTask", "espnet3.systems.esp2_asr.task.ASRTask"]


def changed(folder, name, changes):
    """A YAML file of the recipe in ``folder``, with other values at dotted names."""
    path = folder / f"conf/{name}.yaml"
    config = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        *above, last = key.split(".")
        place = config
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    path.write_text(yaml.safe_dump(config))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """The recipe beside a small encoder, short, with its corpus and its statistics."""
    folder = tmp_path_factory.mktemp("recipe") / "esp2_asr_prune"
    shutil.copytree(RECIPE, folder, ignore=shutil.ignore_patterns("data", "downloads", "exp"))
    mini_encoder().save_pretrained(folder / "encoder")
    changes = {
        "model.frontend_conf.model": "encoder",
        "model.pruning_conf.warmup_steps": 20,
        "scheduler.total_steps": 80,
        "trainer.max_epochs": 4,
    }
    changed(folder, "training", changes)
    run(folder, *PREPARED)
    return folder


def run(folder, *stages):
    command = [sys.executable, "run.py", *CONFIGS, "--stages", *stages]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def trained(recipe):
    """The folder of the recipe's training, behind its last stage."""
    run(recipe, "train", "apply_pruning", "infer", "measure")
    return recipe / "exp/training"


def weights(file):
    state = torch.load(file, map_location="cpu", weights_only=True)
    return state.get("state_dict", state)


@pytest.fixture
def same_noise(monkeypatch):
    """Gates draw by the step's number alone, whatever a host draws from the same generator."""
    forward = EncoderObjective.forward

    def seeded(self, *inputs):
        torch.manual_seed(int(self.pruner.budgets["total"].step))
        return forward(self, *inputs)

    monkeypatch.setattr(EncoderObjective, "forward", seeded)


def under_espnet3(recipe, name, changes):
    """Train in this process by ``conf/NAME.yaml``: the recipe's, with ``changes``."""
    shutil.copyfile(recipe / "conf/training.yaml", recipe / f"conf/{name}.yaml")
    changed(recipe, name, changes)
    launch(ASRSystem, argv=["--stages", "train", "--training_config", f"conf/{name}.yaml"])
    return weights(recipe / f"exp/{name}/last.ckpt")


def under_espnet2(recipe, name):
    """What ESPnet2 trains with the same options; words of its configs have other names."""
    config = yaml.safe_load((recipe / f"conf/{name}.yaml").read_text())
    trainer, batches = config["trainer"], config["dataloader"]["train"]["iter_factory"]["batches"]
    options = config["model"] | {
        "seed": config["seed"],
        "token_type": "bpe",
        "token_list": str(recipe / "data/bpe_30/tokens.txt"),
        "bpemodel": str(recipe / "data/bpe_30/bpe.model"),
        "accum_grad": trainer["accumulate_grad_batches"],
        "grad_clip": trainer["gradient_clip_val"],
        "max_epoch": trainer["max_epochs"],
        "num_iters_per_epoch": config["dataloader"]["train"]["iter_factory"]["num_iters_per_epoch"],
        "batch_type": batches["type"],
        "batch_size": batches["batch_size"],
        "optim": "adamw",
        "optim_conf": {k: v for k, v in config["optimizer"].items() if k != "_target_"},
        "scheduler": "warmuplineardecaylr",
        "scheduler_conf": {k: v for k, v in config["scheduler"].items() if k != "_target_"},
        "use_tensorboard": False,
        "use_matplotlib": False,
        "num_workers": 0,
    }
    folder = recipe / f"espnet2_{name}"
    folder.mkdir()
    (folder / "options.yaml").write_text(yaml.safe_dump(options))
    command = ["--config", str(folder / "options.yaml"), "--output_dir", str(folder)]
    for split in ("train", "valid"):
        rows = [row.split("\t") for row in (recipe / f"data/manifest/{split}.tsv").open()]
        tables = {
            "speech": [(key, file) for key, file, _ in rows],
            "text": [(key, text.strip()) for key, _, text in rows],
            "shape": [(key, soundfile.info(file).frames) for key, file, _ in rows],
        }
        for table, lines in tables.items():
            path = folder / f"{split}_{table}"
            path.write_text("".join(f"{key} {value}\n" for key, value in lines))
        command += [f"--{split}_shape_file", str(folder / f"{split}_shape")]
        for table, kind in (("speech", "sound"), ("text", "text")):
            option = f"--{split}_data_path_and_name_and_type"
            command += [option, f"{folder / f'{split}_{table}'},{table},{kind}"]
    ASRTask.main(cmd=command)
    return weights(folder / "latest.pth")


@pytest.mark.parametrize("task", TASKS)
def test_gates_and_multipliers_move_as_under_espnet2(recipe, same_noise, monkeypatch, task):
    monkeypatch.chdir(recipe)
    name = f"same{TASKS.index(task)}"
    changes = {
        "task": task,
        "trainer.max_epochs": 2,
        "trainer.accumulate_grad_batches": 2,
        "dataloader.train.iter_factory.num_iters_per_epoch": 4,
        "model.pruning_conf.warmup_steps": 2,
    }
    ours = under_espnet3(recipe, name, changes)
    theirs = under_espnet2(recipe, name)
    pruner = "frontend.objective.pruner"
    assert float(ours[f"{pruner}.budgets.total.lambda1"]) != 0
    assert int(ours[f"{pruner}.budgets.total.step"]) == 8
    assert any(value.unique().numel() > 1 for key, value in ours.items() if "gates" in key)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"model.accum_grad": 1, "trainer.accumulate_grad_batches": 2},
            "expected model: accum_grad 2",
        ),
        (
            {
                "optimizer": None,
                "optimizers": {"all": {"params": "model"}},
                "trainer.gradient_clip_val": None,
            },
            "found optimizers",
        ),
    ],
)
def test_what_would_prune_otherwise_is_refused(recipe, monkeypatch, changes, message):
    monkeypatch.chdir(recipe)
    with pytest.raises(ConfigError, match=message):
        under_espnet3(recipe, "refused", changes)


def test_other_trainings_of_espnet3_stay_as_they_are():
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = torch.nn.Linear(2, 2)
            self.config = OmegaConf.create(
                {
                    "model": {},
                    "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.5},
                    "scheduler": {"_target_": "torch.optim.lr_scheduler.ConstantLR", "factor": 1.0},
                }
            )

    module = Module()
    (group,) = ESPnetLightningModule.configure_optimizers(module)["optimizer"].param_groups
    assert group["params"] == list(module.parameters()) and group["lr"] == 0.5


def test_the_recipe_cuts_decodes_and_scores(recipe, trained):
    folders = recipe / "encoder", trained / "applied/encoder"
    dense, small = (
        count_params(SSLEncoder.from_pretrained(folder).config).total for folder in folders
    )
    assert 1 - small / dense == pytest.approx(0.5, abs=0.005)
    scores = json.loads((trained / "inference/metrics.json").read_text())
    names = [name.rpartition(".")[2] for name in scores]
    assert names == ["WER", "CER"]
    for name, score in zip(names, scores.values(), strict=True):
        assert {*score} == {"train", "test"} and all(value[name] >= 0 for value in score.values())


def test_the_applied_model_decodes_as_the_gated_one(recipe, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(recipe)
    model_file, masks, cut = trained / "valid.loss_on_target.ave_1best.pth", [], gates.apply
    monkeypatch.setattr(gates, "apply", lambda *given: masks.append(given[2]) or cut(*given))
    apply_trained(model_file, tmp_path)
    files = [str(tmp_path / name) for name in ("config.yaml", "model.pth")]
    decoder = Speech2Text(*files, beam_size=5, ctc_weight=1.0)
    applied, gated = decoder.asr_model, load_trained(ASRTask, model_file)
    # In evaluation, its gates at the target: closed or open as they were cut.
    gated.frontend.featurizer.through = lambda encoder, *wavs: encoder(*wavs, masks[0])
    texts = [line.split(maxsplit=1)[1:] for line in (trained / "inference/train/text.scp").open()]
    assert any(texts)
    rows = (recipe / "data/manifest/train.tsv").open()
    for row, text in zip(rows, texts, strict=True):
        speech, _ = soundfile.read(row.split("\t")[1], dtype="float32")
        batch = torch.from_numpy(speech)[None], torch.tensor([len(speech)])
        with torch.no_grad():
            ours, theirs = applied.encode(*batch), gated.encode(*batch)
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
        for decoder.asr_model in (applied, gated):
            assert decoder(speech)[0][0].split() == " ".join(text).split()


def test_a_model_with_gates_is_refused(trained):
    with pytest.raises(CheckpointError, match="cut it first"):
        Speech2Text(str(trained / "config.yaml"), str(trained / "last.ckpt"))
