"""Rows of numbers that are none: a learning rate of 1e30, NaN in audio, in weights."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import soundfile
from safetensors.torch import load_file, save_file

from tests.drill.recipe import FOLDER, OPTIONS, TRAININGS, Reference, call
from tests.drill.rows import Row, folder_of, wrong

_ARGS = {5: "train_args", 6: "pruning_args", 8: "distill_args", 9: "train_args"}
_EXPORT = {5: "dense", 6: "applied_encoder", 8: "pruned_encoder", 9: "pruned"}


def _diverged(reference: Reference, stage: int) -> str:
    folder = folder_of(reference, f"nan {stage}", stage - 1)
    option = _ARGS[stage]
    rates = " --optim_conf lr=1.0e+30" + (" --ssl_lr 1.0e+30" if option == "train_args" else "")
    changes = {option: OPTIONS[option] + rates}
    status, said = call(folder, stage, **changes)
    log = folder / "exp" / FOLDER[stage] / "train.log"
    told = said + (log.read_text(errors="replace") if log.exists() else "")
    second, _ = call(folder, stage, **changes)
    named = re.search(r"(?i)step \d+.*(nan|finite)|(nan|finite).*step \d+", told)
    return wrong(
        failed=status != 0,
        failed_again=second != 0,
        names_a_step=bool(named),
        nothing_exported=not (folder / "exp" / _EXPORT[stage] / "model.safetensors").exists(),
    )


def _nan_audio(reference: Reference, set_name: str, stage: int) -> str:
    folder = folder_of(reference, f"audio {set_name} {stage}", stage - 1)
    source = sorted((folder / f"data/{set_name}/audio").glob("*.flac"))[0]
    samples, rate = soundfile.read(source, dtype="float32")
    samples[rate // 2 :: rate] = np.nan
    soundfile.write(source.with_suffix(".wav"), samples, rate, subtype="FLOAT")
    for table in folder.glob(f"d*/**/{set_name}/wav.scp"):
        text = table.read_text()
        table.write_text(text.replace(source.name, source.with_suffix(".wav").name))
    status, said = call(folder, stage)
    named = re.search(r"(?i)\bnan\b|finite", said) is not None
    return wrong(failed=status != 0, told=named, short="Traceback" not in said)


def _bad_weights(reference: Reference, stage: int, model: str) -> str:
    folder = folder_of(reference, f"weights {stage}", stage - 1)
    path = folder / "exp" / model / "model.safetensors"
    state = load_file(path)
    name = next(n for n, v in state.items() if v.is_floating_point() and v.dim() > 1)
    state[name].view(-1)[0] = float("nan")
    save_file(state, path)
    status, said = call(folder, stage)
    return wrong(failed=status != 0, names_tensor=name in said, short="Traceback" not in said)


ROWS = [
    *(
        Row(
            f"nan rate {k}",
            "stops in words that name step and tensor, nothing exported, twice",
            partial(_diverged, stage=k),
        )
        for k in TRAININGS
    ),
    *(
        Row(f"nan audio {s} {k}", "refused in words", partial(_nan_audio, set_name=s, stage=k))
        for s, k in (("train", 2), ("train", 5), ("dev", 5), ("test", 10))
    ),
    *(
        Row(
            f"nan weights {k}", "refused, the tensor named", partial(_bad_weights, stage=k, model=m)
        )
        for k, m in ((5, "ssl"), (6, "dense/encoder"), (8, "applied_encoder"), (10, "pruned"))
    ),
]
