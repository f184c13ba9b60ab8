"""Does the installed package work beside torch alone? ``python -I`` hides the sources from it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import torch

import espnet_prune
from espnet_prune import SSLEncoder

SOURCES = Path(__file__).resolve().parents[1]


def main() -> None:
    """Load, run, save, and call commands."""
    location = Path(espnet_prune.__file__)
    if location.is_relative_to(SOURCES / "espnet_prune"):
        sys.exit(f"expected the installed package, found {location}")
    for host in ("espnet2", "s3prl", "torchaudio"):
        print(f"{host}: {'there' if find_spec(host) else 'not there'}")
    encoder = SSLEncoder.from_pretrained("whisper_tiny_en")
    wavs = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        states, lengths = encoder(wavs)
    assert len(states) == len(encoder.config.layers) + 1
    assert all(bool(state.isfinite().all()) for state in states) and int(lengths) > 0
    with tempfile.TemporaryDirectory() as folder:
        encoder.save_pretrained(folder)
        with torch.no_grad():
            again = SSLEncoder.from_pretrained(folder)(wavs).hidden_states
        torch.testing.assert_close(again, states)
        for command in (["--help"], ["profile", "whisper_tiny_en"], ["profile", folder, "--json"]):
            run = [sys.executable, "-I", "-m", "espnet_prune.bin", *command]
            subprocess.run(run, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    print(f"espnet_prune {espnet_prune.__version__} works from {location.parent}")


if __name__ == "__main__":
    main()
