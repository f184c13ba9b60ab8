"""Each task of ESPnet that hears speech builds on ``frontend: pruned_ssl``, with gates if asked."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import SimpleNamespace

import espnet2.tasks
import joblib
import numpy as np
import pytest
import yaml
from espnet2.tasks.abs_task import AbsTask

from espnet_prune.encoder import ConfigError, SSLEncoder
from espnet_prune.espnet.frontend import PrunedSSLFrontend
from espnet_prune.espnet.objective import OPTIONS as OURS

SMALL = "output_size: 8, attention_heads: 2, linear_units: 8, num_blocks: 1"
ENCODER = ["--encoder", "transformer", "--encoder_conf", f"{{{SMALL}, input_layer: linear}}"]
CTC = [*ENCODER, "--model_conf", "ctc_weight=1.0"]
DECODER = ["--decoder", "transformer", "--decoder_conf", "{linear_units: 8, num_blocks: 1}"]
EMBEDDING = [
    *("--encoder", "ecapa_tdnn", "--encoder_conf", "{ndim: 8, output_size: 8, model_scale: 2}"),
    *("--pooling", "mean", "--projector", "rawnet3", "--projector_conf", "output_size=4"),
    *("--loss", "aamsoftmax", "--loss_conf", "{margin: 0.3, scale: 15}", "--input_size", "8"),
]
BRANCHES = "cgmlp_linear_units: 8, cgmlp_conv_kernel: 3, merge_conv_kernel: 3, "
OPTIONS = {
    "aqa": [
        "--metric2id",
        "{folder}/metrics",
        "--use_ref_audio",
        "false",
        "--use_ref_text",
        "false",
    ],
    "asr": CTC,
    "asr_transducer": [
        "--encoder_conf",
        "{body_conf: [{block_type: conformer, hidden_size: 8, linear_size: 8, heads: 2, "
        "conv_mod_kernel_size: 3}]}",
    ],
    "asvspoof": [*ENCODER],
    "cls": ENCODER,
    "diar": [*ENCODER, "--num_spk", "2", "--attractor", "rnn", "--attractor_conf", "unit=8"],
    "enh_s2t": [
        *("--subtask_series", "enh", "asr", "--asr_encoder", "transformer"),
        *("--asr_encoder_conf", ENCODER[-1], "--asr_model_conf", "ctc_weight=1.0"),
    ],
    "gan_tok": [
        *("--quantizer_conf", "centroid_path={folder}/centroids"),
        *("--asr_encoder", "transformer", "--asr_encoder_conf", ENCODER[-1]),
        *("--asr_embedding_conf", "embed_dim=8", "--asr_model_conf", "ctc_weight=1.0"),
    ],
    "hubert": [
        *("--encoder", "torchaudio_hubert", "--model", "torchaudio", "--num_classes", "4"),
        *(
            "--encoder_conf",
            "{encoder_embed_dim: 8, encoder_num_layers: 1, encoder_num_heads: 2, "
            "encoder_ff_interm_features: 8, encoder_pos_conv_groups: 2}",
        ),
    ],
    "lid": [*EMBEDDING, "--lang_num", "2"],
    "s2st": [
        *(*ENCODER, "--s2st_type", "discrete_unit", "--synthesizer", "discrete_unit"),
        *("--synthesizer_conf", "{linear_units: 8, num_blocks: 1}"),
    ],
    "s2t": CTC,
    "s2t_ctc": [
        *("--encoder", "e_branchformer_ctc"),
        *("--encoder_conf", f"{{{BRANCHES}{SMALL}, input_layer: linear}}"),
        *("--promptencoder", "transformer", "--promptencoder_conf", f"{{{SMALL}}}"),
    ],
    "slu": CTC,
    "spk": [*EMBEDDING, "--spk_num", "2"],
    "ssl": [
        *(*ENCODER, "--preencoder_conf", "output_size=8"),
    ],
    "st": [*ENCODER, *DECODER],
    "uasr": ["--write_collected_feats", "true"],
}
# Lists can be given in a file alone.
CONFIGS = {
    "asvspoof": {"losses": [{"name": "binary_loss", "conf": {}}]},
    "enh_s2t": {
        "enh_criterions": [
            {"name": "mse", "conf": {}, "wrapper": "fixed_order", "wrapper_conf": {"weight": 1.0}}
        ]
    },
    "s2st": {"losses": [{"name": "synthesis", "type": "attention", "conf": {}}]},
    "ssl": {"loss": [{"name": "hubert", "conf": {"num_classes": 4, "final_dim": 4}}]},
    "uasr": {"losses": [{"name": "smoothness_penalty", "conf": {}}]},
}
NEEDED = {"cls": ["torcheval"], "uasr": ["kenlm"]}  # which ESPnet leaves to its users
TOKENS = "<blank> <unk> a b <na> <nospeech> <sop> <sos> <eos> <SIL> <s> </s> <sos/eos>"
GATES = ["--pruning_conf", "{target: 0.3, warmup_steps: 5}", "--ssl_lr", "1e-5"]


def hearing() -> dict[str, type[AbsTask]]:
    """The tasks of the installed ESPnet with a front end that reads waveforms, by module."""
    found = {}
    for module in pkgutil.iter_modules(espnet2.tasks.__path__):
        try:
            host = importlib.import_module(f"espnet2.tasks.{module.name}")
        except ImportError:  # of a task whose own dependencies are not here
            continue
        if "default" in getattr(getattr(host, "frontend_choices", None), "classes", ()):
            (found[module.name],) = (
                task
                for task in vars(host).values()
                if inspect.isclass(task) and task.__module__ == host.__name__
            )
    return found


HEARING = hearing()


@pytest.fixture(params=sorted(HEARING))
def build(request, tmp_path, encoder_folder):
    """The task, and its model and options for those that a test gives."""
    task, more = HEARING[request.param], OPTIONS[request.param]
    for needed in NEEDED.get(request.param, ()):
        pytest.importorskip(needed)
    (tmp_path / "tokens").write_text("\n".join(TOKENS.split()) + "\n")
    (tmp_path / "metrics").write_text("mos\n")
    centroids = np.eye(SSLEncoder.from_pretrained(encoder_folder).config.embed_dim)
    joblib.dump(SimpleNamespace(cluster_centers_=centroids), tmp_path / "centroids")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIGS.get(request.param, {})))

    def make(*asked):
        parser = task.get_parser()
        command = ["--output_dir", str(tmp_path), "--config", str(tmp_path / "config.yaml")]
        command += ["--frontend", "pruned_ssl"]
        command += ["--frontend_conf", f"model={encoder_folder}", *more, *asked]
        for action in parser._actions:
            if action.dest.endswith("token_list"):
                command += [f"--{action.dest}", str(tmp_path / "tokens")]
            if action.dest == "token_type":
                command += ["--token_type", "phn" if "phn" in action.choices else "word"]
        args = parser.parse_args([word.replace("{folder}", str(tmp_path)) for word in command])
        return task.build_model(args), args

    return task, make


def test_every_one_is_here():
    assert HEARING.keys() - OPTIONS.keys() == set()
    assert OPTIONS.keys() - HEARING.keys() <= {"aqa", "gan_tok"}  # since ESPnet 202609


def test_it_builds_and_prunes(build):
    task, make = build
    plain, args = make()
    (frontend,) = (part for part in plain.modules() if isinstance(part, PrunedSSLFrontend))
    assert frontend.objective is None and args.frontend_conf["config"]
    assert args.pruned_task == f"{task.__module__}.{task.__name__}"
    model, args = make(*GATES)
    if task.num_optimizers > 1:
        with pytest.raises(ConfigError, match="found a task with 2"):
            task.build_optimizers(args, model)
        return
    (optimizer,) = task.build_optimizers(args, model)
    assert [bool(group.get("maximize")) for group in optimizer.param_groups] == [False] * 3 + [True]


def test_a_training_that_asks_for_nothing_of_ours_keeps_espnets_config(tmp_path):
    task = HEARING["asr"]
    (tmp_path / "tokens").write_text("\n".join(TOKENS.split()) + "\n")
    command = ["--output_dir", str(tmp_path), "--token_list", str(tmp_path / "tokens"), *CTC]
    args = task.get_parser().parse_args([*command, "--frontend", "default"])
    assert {*OURS} <= {*vars(args)}
    task.build_model(args)
    assert not {"pruned_task", "ssl_lr", *OURS} & {*vars(args)}
