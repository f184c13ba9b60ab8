"""compress: an encoder on budget without training; bad settings are one line."""

import pytest

from espnet_prune import PRESETS, SSLEncoder
from espnet_prune.bin.compress import main
from espnet_prune.pruning import count_params


def test_it_writes_an_encoder_on_budget(tmp_path, capsys):
    main(["whisper_tiny_en", "--output", str(tmp_path), "--pruning_conf", "target=0.8"])
    small = SSLEncoder.from_pretrained(tmp_path)
    dense = PRESETS["whisper_tiny_en"]()
    sparsity = 1 - count_params(small.config).total / count_params(dense).total
    assert abs(sparsity - 0.8) < 0.005
    assert f"parameters, sparsity {sparsity:.4f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "setting, told",
    [("target", "KEY=VALUE"), ("target=[", "KEY=VALUE"), ("=3", "KEY=VALUE"),
     ("target=2", "target of total between 0 and 1"), ("tarjet=0.5", "tarjet")],
)  # fmt: skip
def test_bad_settings_are_one_line(setting, told, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["whisper_tiny_en", "--output", str(tmp_path / "small"), "--pruning_conf", setting])
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "small").exists()
