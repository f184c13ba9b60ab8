"""Each recipe by name trains a small encoder that is cut; users' own keys go over it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from espnet_prune.bin import apply_pruning, asr_train, compress, distill_train
from espnet_prune.encoder import ConfigError, SSLEncoder
from espnet_prune.espnet.distillation_task import DistillationTask
from espnet_prune.espnet.embedding_task import EmbeddingTask
from espnet_prune.espnet.pruned_tasks import PrunedASRTask
from espnet_prune.storage.config_files import read_yaml
from espnet_prune.storage.recipes import recipe_names, recipe_path
from tests.espnet.speech_corpus import training_options, write_corpus, write_tokens

EGS2 = Path(__file__).parents[2] / "egs2"
# A schedule of a few hundred steps, in one epoch, instead of the recipes' own.
HARD = {"gate_lr": 0.2, "multiplier_lr": 0.1, "lambda2": 300.0, "warmup_steps": 40}
SMALL = {
    "han2025_s80": HARD,
    "dphubert_sp75": HARD,
    "hj_mac": HARD,
    "self_pinching_units": {**HARD, "gate_lr": 0.05},
    "magnitude": {},
    "svd": {},
    "exit": {},
}
LAYERS = {"han2025_s80": ["layers=[0, 3]"]}
LAYERS["dphubert_sp75"] = [*LAYERS["han2025_s80"], "projection_groups=[[0], [3]]"]
SHORT = {"max_epoch": 1, "num_iters_per_epoch": 150, "batch_size": 4, "num_workers": 0}
SHORT |= {
    "use_tensorboard": "false",
    "use_matplotlib": "false",
    "num_att_plot": 0,
    "use_amp": "false",
}


def words(**options):
    return [word for key, value in options.items() for word in (f"--{key}", str(value))]


def pruning(name):
    values = {"target": 0.3, **SMALL[name]}
    return [w for key, value in values.items() for w in ("--pruning_conf", f"{key}={value}")]


def train(name, folder, encoder, windows):
    """Run the command that a recipe is for, with nothing of the recipe but its name."""
    command = ["--recipe", name, *pruning(name)]
    if name in LAYERS:
        command += words(student=encoder, teacher=encoder, output_dir=folder, **SHORT)
        command += [w for each in LAYERS[name] for w in ("--distill_conf", each)]
        shapes = folder.with_suffix(".shapes")
        names = [line.split()[0] for line in windows.read_text().splitlines()]
        shapes.write_text("".join(f"{each} 32000\n" for each in names))
        for split in ("train", "valid"):
            command += [f"--{split}_shape_file", str(shapes)]
            option = f"--{split}_data_path_and_name_and_type"
            command += [option, f"{windows},speech,window_sound"]
        if name == "dphubert_sp75":
            schedule = ("warmup_steps=1", "total_steps=100000")
            command += [w for each in schedule for w in ("--scheduler_conf", each)]
            command += words(batch_bins=160000)
        distill_train.main(command)
        return
    corpus = write_corpus(folder.parent)
    options = training_options(corpus, folder, encoder) + write_tokens(corpus, "char")
    at = options.index("--best_model_criterion")
    asr_train.main([*options[:at], *options[at + 2 :], *command, *words(**SHORT)])


def test_every_recipe_is_here():
    assert {*SMALL} == {*recipe_names()}


@pytest.mark.parametrize("name", SMALL)
def test_it_runs_to_the_end(name, tmp_path, encoder_folder, windows):
    output = tmp_path / "applied"
    if not SMALL[name]:
        compress.main(
            [str(encoder_folder), "--recipe", name, "--output", str(output), *pruning(name)]
        )
        small = SSLEncoder.from_pretrained(output)
        expected = read_yaml(recipe_path(name))["pruning_conf"]
    else:
        train(name, tmp_path / "train", encoder_folder, windows)
        saved = yaml.safe_load((tmp_path / "train/config.yaml").read_text())
        expected = read_yaml(recipe_path(name))
        assert saved["best_model_criterion"] == expected["best_model_criterion"]
        expected = expected["pruning_conf"]
        assert saved["recipe"] == name and saved["pruning_conf"] == {
            **expected, "target": 0.3, **SMALL[name]
        }  # fmt: skip
        apply_pruning.main([str(tmp_path / "train/latest.pth"), "--output", str(output)])
        task = not (output / "config.json").exists()
        small = SSLEncoder.from_pretrained(output / "encoder" if task else output)
        assert not task or "recipe" not in yaml.safe_load((output / "config.yaml").read_text())
    told, cut = small.history
    assert told["recipe"] == name and told["source"] == encoder_folder.name
    assert cut["target"] == 0.3 and cut["reached"] > 0.295
    assert name == "exit" or cut["reached"] < 0.305  # layers are coarse
    assert cut["budget"] == expected.get("budget", "params")


REQUIRED = ["--student", "s", "--teacher", "t", "--output_dir", "exp"]


def parsed(*given):
    return DistillationTask.get_parser().parse_args([*given, *REQUIRED])


def test_command_line_over_file_over_recipe(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("max_epoch: 3\npatience: 2\npruning_conf: {target: 0.7, tolerance: 0.01}\n")
    args = parsed("--recipe", "han2025_s80", "--config", str(own), "--patience", "9",
                  "--pruning_conf", "gate_lr=0.1")  # fmt: skip
    recipe = read_yaml(recipe_path("han2025_s80"))
    own_keys = {"target": 0.7, "tolerance": 0.01, "gate_lr": 0.1}
    assert args.pruning_conf == {**recipe["pruning_conf"], **own_keys}
    assert (args.max_epoch, args.patience, args.batch_size) == (3, 9, recipe["batch_size"])
    own.write_text("recipe: han2025_s80\nbase: recipe:han2025_s80\n")
    assert vars(parsed("--config", str(own))) == {
        **vars(parsed("--recipe", "han2025_s80")),
        "config": str(own),
    }


def test_what_cannot_be_is_one_line(tmp_path):
    known = ", ".join(recipe_names())
    with pytest.raises(ConfigError, match=f"expected a recipe of {known}, found 'hj'"):
        parsed("--recipe", "hj")
    own = tmp_path / "own.yaml"
    own.write_text("base: recipe:hj_mac\n")
    with pytest.raises(ConfigError, match="expected one recipe, found .*magnitude"):
        parsed("--recipe", "magnitude", "--config", str(own))
    with pytest.raises(ConfigError, match="dphubert_sp75.yaml: unknown option crop"):
        PrunedASRTask.get_parser().parse_args(["--recipe", "dphubert_sp75"])
    assert "--recipe" not in EmbeddingTask.get_parser().format_help()


@pytest.mark.parametrize(
    "name, path",
    [
        ("han2025_s80", "ami_aishell4_alimeeting/diar_prune1/conf/prune.yaml"),
        ("dphubert_sp75", "librispeech/ssl_prune1/conf/prune.yaml"),
    ],
)
def test_the_corpora_train_by_the_recipe(name, path):
    named, corpus = vars(parsed("--recipe", name)), vars(parsed("--config", str(EGS2 / path)))
    different = {key for key in named if named[key] != corpus[key]}
    assert different <= {
        "config",
        "num_workers",
        "log_interval",
        "num_att_plot",
        "use_tensorboard",
        "use_matplotlib",
    }


@pytest.mark.parametrize("corpus", ["librispeech_100/asr", "slurp/slu", "speechocean762/asr",
                                    "mini_speech/asr"])  # fmt: skip
def test_the_corpora_change_only_rates_and_steps(corpus):
    ours = read_yaml(EGS2 / f"{corpus}_prune1/conf/tuning/hj_mac.yaml")
    recipe = read_yaml(recipe_path("hj_mac"))
    own = {"warmup_steps", "gate_lr", "multiplier_lr", "lambda2", "drop_rates"}
    for values in (ours, recipe):
        values["pruning_conf"] = {k: v for k, v in values["pruning_conf"].items() if k not in own}
    assert {key: ours[key] for key in recipe} == recipe
