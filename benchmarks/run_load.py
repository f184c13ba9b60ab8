"""Measure what the service bears: clients that ask again and again; a table on stdout.

Each client sends the same recording as soon as its last answer came; one that is refused pauses.
Every answer has to be that of an idle service. The peak of memory is the whole service's.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

from benchmarks.audio import generate
from benchmarks.children import ending_with_us
from benchmarks.memory import peak_mib
from benchmarks.results import this_setting
from benchmarks.table import describe
from espnet_prune.bin.errors import explained
from espnet_prune.bin.numbers import amount, positive, seed
from espnet_prune.diarization.head import DiarizationConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.encoder import PRESETS, Featurizer, SSLEncoder
from espnet_prune.report.table import Table

_BOUNDARY = "6f1d5a"
_HEADER = (
    "clients", "answered", "refused", "answers a minute", "s of audio a second", "median s",
    "longest s", "peak MiB",
)  # fmt: skip


class Answer(NamedTuple):
    """What a request brought: the status of HTTP, the text, and the seconds that it took."""

    status: int
    text: str
    seconds: float


def ask(address: str, audio: bytes) -> Answer:
    """Have a FLAC file diarized by the service at ``address``."""
    head = 'Content-Disposition: form-data; name="file"; filename="load.flac"'
    body = f"--{_BOUNDARY}\r\n{head}\r\n\r\n".encode() + audio
    body += f"\r\n--{_BOUNDARY}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    request = urllib.request.Request(f"{address}/diarize?format=rttm", body, kind)
    start = time.perf_counter()
    try:
        with urllib.request.urlopen(request) as found:
            status, text = found.status, found.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    return Answer(status, text, time.perf_counter() - start)


def load(
    address: str, audio: bytes, clients: int, seconds: float, pause: float = 0.5
) -> list[Answer]:
    """The answers to so many clients during ``seconds``, and to what they had asked until then."""
    end = time.perf_counter() + seconds

    def client(_: int) -> Iterator[Answer]:
        while time.perf_counter() < end:
            yield (answer := ask(address, audio))
            if answer.status == 503:
                time.sleep(pause)

    with ThreadPoolExecutor(clients) as pool:
        found = pool.map(lambda number: list(client(number)), range(clients))
        return [answer for answers in found for answer in answers]


@contextlib.contextmanager
def service(model: str, options: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Address and process of a service."""
    command = [sys.executable, "-m", "espnet_prune.bin", "serve", model, "--port", "0", *options]
    with subprocess.Popen(
        command,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=ending_with_us(),
    ) as process:
        try:
            assert process.stderr
            for line in process.stderr:
                if found := re.search(r"http://\S+", line):
                    break
            else:
                raise ChildProcessError("expected a service, found that it did not start")
            with ThreadPoolExecutor(1) as reader:  # or it would stop at a full pipe
                reader.submit(process.stderr.read)
                yield found[0], process.pid
                process.terminate()
        finally:
            process.kill()


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line; what it does not know goes to ``serve``."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Further options are those of espnet-prune serve."
    )
    add = parser.add_argument
    add("model", help=f"a folder; or, with random weights, {', '.join(PRESETS)}")
    add("--clients", type=positive, nargs="+", default=[1, 2, 4, 8, 16], help="(1 2 4 8 16)")
    add("--seconds", type=amount, default=60.0, help="for each number of clients (60)")
    add("--minutes", type=amount, default=1.0, help="of the recording (1)")
    add("--seed", type=seed, default=0, help="of weights and audio")
    return parser


@explained("load")
def main(cmd: Sequence[str] | None = None) -> None:
    """Run the command."""
    args, options = get_parser().parse_known_args(cmd)
    setting = this_setting("cpu", torch.get_num_threads(), args.seed)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        generate(recording := Path(folder) / "load.flac", args.minutes, args.seed)
        audio, model = recording.read_bytes(), args.model
        if model in PRESETS:
            torch.manual_seed(args.seed)
            encoder = Featurizer(SSLEncoder(PRESETS[model]()))
            DiarizationModel(encoder, DiarizationConfig()).save_pretrained(model := folder)
        with service(model, options) as (address, process):
            expected = ask(address, audio)
            for clients in args.clients:
                start = time.perf_counter()
                answers = load(address, audio, clients, args.seconds)
                elapsed = time.perf_counter() - start
                rows.append(_row(clients, answers, expected, elapsed, args.minutes, process))
    print("\n".join([*describe(setting), "", Table(_HEADER, rows, words=0).markdown()]))


def _row(
    clients: int, answers: Sequence[Answer], expected: Answer, elapsed: float, minutes: float,
    process: int,
) -> tuple[str, ...]:  # fmt: skip
    done = [answer.seconds for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 503]
    if {(a.status, a.text) for a in answers if a.status != 503} != {expected[:2]}:
        raise ChildProcessError(f"expected {expected[:2]} at all times, found other answers")
    rate, peak = len(done) / elapsed, peak_mib(process)
    return (
        str(clients), str(len(done)), str(len(refused)), f"{60 * rate:.1f}",
        f"{60 * minutes * rate:.1f}", f"{median(done):.2f}", f"{max(done):.2f}",
        "unknown" if peak is None else f"{peak:.0f}",
    )  # fmt: skip


if __name__ == "__main__":
    main()
