"""What apply_pruning writes is a plain ESPnet model, equal to the gated one."""

from __future__ import annotations

import argparse
import shutil

import pytest
import soundfile
import torch
import yaml
from espnet2.bin import pack
from espnet2.bin.asr_inference import Speech2Text
from espnet2.main_funcs.pack_funcs import unpack
from espnet2.tasks.asr import ASRTask

from espnet_prune.bin import apply_pruning, asr_train
from espnet_prune.encoder import SSLEncoder
from espnet_prune.espnet.pruned_tasks import PrunedASRTask
from espnet_prune.pruning import count_params
from espnet_prune.pruning.budgets.latency import Latency
from espnet_prune.pruning.budgets.memory import Memory
from espnet_prune.storage import CheckpointError
from tests.espnet.speech_corpus import training_options, write_corpus, write_tokens
from tests.pruning.tables import SECONDS, table_of

UNITS = {"gate": "hard_concrete", "units": ["conv", "head", "ffn"]}
WEIGHTS = {"gate": "self_pinching", "units": ["weight"]}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("speech"))


@pytest.fixture
def trained(corpus, tmp_path, encoder_folder):
    """The folder of a training whose gates are closed at random, with its model."""

    def make(conf):
        command = training_options(corpus, tmp_path / "train", encoder_folder)
        command += write_tokens(tmp_path, "word")
        # Nothing to round: gates are open or closed, and the target is where they are.
        args = PrunedASRTask.get_parser().parse_args(command)
        args.pruning_conf = {"target": 0.3, "warmup_steps": 0, **conf}
        model = PrunedASRTask.build_model(args).eval()
        torch.manual_seed(0)
        close(model.frontend.objective.pruner.gates)
        with torch.no_grad():
            found = model.frontend.objective.pruner.penalty(model.frontend.ssl_encoder)
        args.pruning_conf["target"] = float(found.stats["sparsity"])
        model = reload(model, args)
        folder = tmp_path / "train"
        folder.mkdir()
        (folder / "config.yaml").write_text(yaml.safe_dump(plain_values(args)))
        torch.save(model.state_dict(), folder / "latest.pth")
        return folder, model

    return make


@torch.no_grad()
def close(gates):
    for name, parameter in gates.named_parameters():
        if "log_alpha" in name:
            parameter.copy_(torch.where(torch.rand(parameter.shape) < 0.6, 10.0, -10.0))
        else:
            parameter.fill_(0.7)


def reload(model, args):
    again = PrunedASRTask.build_model(args)
    again.load_state_dict(model.state_dict())
    return again.eval()


def plain_values(args):
    return {k: str(v) if not yaml_plain(v) else v for k, v in vars(args).items()}


def yaml_plain(value):
    try:
        yaml.safe_dump(value)
    except yaml.YAMLError:
        return False
    return True


def applied(folder, output, *more):
    apply_pruning.main([str(folder / "latest.pth"), "--output", str(output), *more])
    return output


@pytest.mark.parametrize("conf", [UNITS, WEIGHTS], ids=["units", "weights"])
def test_the_applied_model_is_the_gated_one(trained, conf, tmp_path, capsys):
    folder, gated = trained(conf)
    output = applied(folder, tmp_path / "applied")
    config = yaml.safe_load((output / "config.yaml").read_text())
    assert not {"pruning_conf", "ssl_lr", "teacher", "grad_clip_percentile"} & config.keys()
    plain = ASRTask.build_model(argparse.Namespace(**config)).eval()
    state = torch.load(output / "model.pth", weights_only=True)
    plain.load_state_dict(state, strict=True)
    speech, lengths = torch.randn(2, 16000), torch.tensor([16000, 12000])
    ours, theirs = (model.encode(speech, lengths) for model in (plain, gated))
    # Thresholds are scaled until on target, which may move a weight or two across them.
    atol = 1e-2 if conf is WEIGHTS else 1e-5
    torch.testing.assert_close(ours, theirs, atol=atol, rtol=1e-5)
    encoder = SSLEncoder.from_pretrained(output / "encoder")
    kept = sum(int(p.count_nonzero()) for p in encoder.parameters())
    dense = sum(p.numel() for p in gated.frontend.ssl_encoder.parameters())
    target = gated.frontend.objective.pruner.config.target
    if conf is WEIGHTS:
        assert 1 - kept / dense == pytest.approx(target, abs=0.01)
    else:
        size = sum(p.numel() for p in encoder.parameters())
        assert 1 - size / dense == pytest.approx(target, abs=0.005)


def test_a_training_holds_milliseconds_and_megabytes(corpus, tmp_path, encoder_folder):
    config = SSLEncoder.from_pretrained(encoder_folder).config
    (tmp_path / "table.json").write_text(table_of(config, machine="elsewhere").json())
    table = {"table": str(tmp_path / "table.json"), "other_machine": True}
    held = {"latency": Latency(**table), "memory": Memory()}
    now = {name: each.count(config, SECONDS).total / each.per_unit for name, each in held.items()}
    pruning = {
        "budget": {name: 0.9 * amount for name, amount in now.items()},
        "budget_conf": {"latency": table},
        "reference_seconds": SECONDS, "warmup_steps": 2, "gate_lr": 0.1, "tolerance": 0.05,
    }  # fmt: skip
    command = training_options(corpus, tmp_path / "train", encoder_folder)
    command += [*write_tokens(tmp_path, "word"), "--pruning_conf", yaml.safe_dump(pruning)]
    asr_train.main(command)
    # Two epochs close little; in the order of their gates units close until both are met.
    output = applied(tmp_path / "train", tmp_path / "small", "--pruning_conf", "tolerance=0.05")
    small = SSLEncoder.from_pretrained(output / "encoder").config
    for name, each in held.items():
        assert each.count(small, SECONDS).total / each.per_unit < 0.95 * now[name]


@pytest.mark.parametrize("tokens", ["char", "word", "bpe"])
def test_espnet_itself_decodes_with_it(corpus, tmp_path, encoder_folder, tokens):
    command = training_options(corpus, tmp_path / "train", encoder_folder)
    command += [*write_tokens(tmp_path, tokens), "--max_epoch", "1"]
    asr_train.main(command)
    output = applied(tmp_path / "train", tmp_path / "dense")
    decoder = Speech2Text(
        str(output / "config.yaml"), str(output / "model.pth"), ctc_weight=1.0, beam_size=2
    )
    speech, _ = soundfile.read(corpus / "u0.wav", dtype="float32")
    text, pieces, ids, _ = decoder(speech)[0]
    assert isinstance(text, str) and len(pieces) == len(ids)
    trained = torch.load(tmp_path / "train/latest.pth", weights_only=True)
    for name, value in decoder.asr_model.state_dict().items():
        assert torch.equal(value, trained[name])


def test_espnets_own_inference_refuses_gates(trained):
    folder, _ = trained(UNITS)
    with pytest.raises(CheckpointError, match="cut it first: espnet-prune apply_pruning"):
        Speech2Text(str(folder / "config.yaml"), str(folder / "latest.pth"))


@pytest.mark.parametrize("applied_first", [True, False])
def test_a_pack_decodes_the_same_elsewhere(
    corpus, tmp_path, encoder_folder, monkeypatch, applied_first
):
    lent = shutil.copytree(encoder_folder, tmp_path / "here/encoder")
    command = training_options(corpus, tmp_path / "here/train", lent)
    ASRTask.main(cmd=[*command, *write_tokens(tmp_path, "char"), "--max_epoch", "1"])
    monkeypatch.chdir(tmp_path / "here")  # ESPnet's recipes pack by relative paths
    config, weights = "train/config.yaml", "train/latest.pth"
    if applied_first:
        applied(tmp_path / "here/train", tmp_path / "here/applied")
        config, weights = "applied/config.yaml", "applied/model.pth"
    speech, _ = soundfile.read(corpus / "u0.wav", dtype="float32")
    before = Speech2Text(config, weights, ctc_weight=1.0, beam_size=2)(speech)[0][:3]
    files = ["--asr_train_config", config, "--asr_model_file", weights]
    pack.main(["asr", *files, "--outpath", str(tmp_path / "model.zip")])
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    shutil.rmtree(tmp_path / "here")
    found = unpack(tmp_path / "model.zip", tmp_path / "there")
    assert Speech2Text(**found, ctc_weight=1.0, beam_size=2)(speech)[0][:3] == before


def test_further_training_starts_from_it(trained, tmp_path, corpus):
    folder, _ = trained(UNITS)
    output = applied(folder, tmp_path / "applied", "--round_to", "2")
    command = training_options(corpus, tmp_path / "tuned", output / "encoder")
    command += [*write_tokens(tmp_path, "word"), "--max_epoch", "1", "--optim_conf", "lr=0"]
    asr_train.main([*command, "--init_param", str(output / "model.pth"), "--optim", "sgd"])
    start = torch.load(output / "model.pth", weights_only=True)
    tuned = torch.load(tmp_path / "tuned/latest.pth", weights_only=True)
    assert start.keys() == tuned.keys()
    assert all(torch.equal(start[name], tuned[name]) for name in start)


def test_one_training_gives_models_of_other_budgets(trained, tmp_path):
    folder, _ = trained(UNITS)
    sizes = {}
    for target in (0.1, 0.4):
        changes = ["--pruning_conf", f"target={target}", "tolerance=0.05"]
        output = applied(folder, tmp_path / str(target), *changes)
        sizes[target] = count_params(SSLEncoder.from_pretrained(output / "encoder").config).total
    dense = sizes[0.1] / 0.9
    assert abs(1 - sizes[0.4] / dense - 0.4) < 0.1 and sizes[0.4] < sizes[0.1]
    with pytest.raises(SystemExit, match="tarjet"):
        applied(folder, tmp_path / "none", "--pruning_conf", "tarjet=0.4")


def test_what_is_no_tasks_training_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("pupil: x\n")
    with pytest.raises(SystemExit, match="a training command of this project"):
        applied(tmp_path, tmp_path / "out")
    with pytest.raises(SystemExit, match="config.yaml that a training wrote"):
        applied(tmp_path / "nowhere", tmp_path / "out")


@pytest.mark.parametrize("task", ["espnet2.tasks.asr.frontend_choices", "espnet2.tasks.none.Task"])
def test_what_names_no_task_is_refused(trained, tmp_path, task):
    folder, _ = trained(UNITS)
    values = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**values, "pruned_task": task}))
    with pytest.raises(SystemExit, match="expected the configuration of a training with frontend"):
        applied(folder, tmp_path / "out")


def test_a_training_with_another_front_end_is_refused(corpus, tmp_path, encoder_folder):
    command = training_options(corpus, tmp_path / "train", encoder_folder)
    command += write_tokens(tmp_path, "word")
    command[command.index("pruned_ssl")] = "default"
    command[command.index("--frontend_conf") + 1] = "n_fft=512"
    args = ASRTask.get_parser().parse_args(command)
    model = ASRTask.build_model(args)
    values = {**plain_values(args), "task": "espnet2.tasks.asr.ASRTask"}  # as ESPnet3 names it
    (tmp_path / "train").mkdir()
    (tmp_path / "train/config.yaml").write_text(yaml.safe_dump(values))
    torch.save(model.state_dict(), tmp_path / "train/latest.pth")
    with pytest.raises(SystemExit, match="expected frontend: pruned_ssl .* found another"):
        applied(tmp_path / "train", tmp_path / "out")


def test_a_damaged_config_is_one_line(trained, tmp_path):
    folder, _ = trained(UNITS)
    values = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**values, "normalize": True}))
    with pytest.raises(SystemExit, match="found that of another task or a damaged one"):
        applied(folder, tmp_path / "out")
