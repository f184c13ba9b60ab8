"""Diarize over HTTP: a service with a page, for `curl`, programs and people with a browser.

GET / is the page, POST /diarize takes a recording, GET /docs tells of the rest. There is no
password: whoever reaches the port may use it. SIGINT or SIGTERM end it once what runs is done.
"""

import logging
import socket
from argparse import ArgumentParser, RawDescriptionHelpFormatter

from espnet_prune.bin.diarizer_options import add_diarizer_options, load_diarizer
from espnet_prune.bin.errors import explained, refused
from espnet_prune.bin.numbers import amount, natural, port, positive

logger = logging.getLogger(__name__)

GRACE = 30
"""Seconds that running requests have to end in when the service is told to."""


def get_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    add_diarizer_options(parser)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="0.0.0.0 is every network (default: this machine)")
    add("--port", type=port, default=8000, help="0 is a free one (default: 8000)")
    add(
        "--workers", type=positive, default=1, help="recordings at a time; they share the cores (1)"
    )
    add("--waiting", type=natural, default=8, help="requests that wait; more are refused (8)")
    add("--max_mb", type=amount, default=500.0, help="of an upload, 10^6 bytes each (500)")
    add("--max_minutes", type=amount, default=120.0, help="of a recording (120)")
    return parser


@explained("serve", logs=True)
def main(cmd: list[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    try:
        import uvicorn

        from espnet_prune.service import Limits, make_app
    except ImportError as error:
        raise refused(f"serve: {error}; pip install 'espnet_prune[serve]'") from error
    limits = Limits(args.workers, args.waiting, args.max_mb, args.max_minutes)
    family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
    # Before the model is loaded, as that takes a while.
    with socket.create_server((args.host, args.port), family=family) as listening:
        app = make_app(load_diarizer(args), limits)
        config = uvicorn.Config(app, timeout_graceful_shutdown=GRACE)
        host = f"[{args.host}]" if ":" in args.host else args.host
        logger.info("the page is http://%s:%d", host, listening.getsockname()[1])
        uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    main()
