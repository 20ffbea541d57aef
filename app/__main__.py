"""`python -m app`: starts the web app. As a file, `python app/__main__.py`, it is what a Space runs."""

import argparse
import socket
import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from app import memory
from app.options import MEGABYTE, Options, for_space, host_and_port, in_space
from cosmos1050k.errors import InputError


def main() -> None:
    parser = _parser()
    given = parser.parse_args()
    options = Options(
        state=given.state,
        data=given.data,
        private=given.private,
        max_upload_bytes=given.max_upload * MEGABYTE,
        root_path=given.root_path,
        workers=given.workers,
        metrics_port=given.metrics_port,
    )
    try:
        host, port = host_and_port()
        if in_space():
            options = for_space(options)
        listening = bound(given.host or host, port if given.port is None else given.port)
    except InputError as error:
        parser.error(str(error))
    memory.give_back()
    from app.server import serve

    try:
        serve(options, listening)
    except InputError as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    default = Options()
    parser = argparse.ArgumentParser(prog="python -m app", description="Serves the leaderboard and the demo.")
    parser.add_argument("--host", help="address to listen on (127.0.0.1; in a Space all)")
    parser.add_argument("--port", type=int, help="port to listen on (7860; in a Space GRADIO_SERVER_PORT)")
    parser.add_argument(
        "--state", type=Path, default=default.state, help="folder of published boards (%(default)s)"
    )
    parser.add_argument(
        "--data", type=Path, default=default.data, help="folder of the built sources (%(default)s)"
    )
    parser.add_argument(
        "--private",
        action="store_true",
        help="show also pictures of sources that may not be redistributed: on your own machine alone",
    )
    parser.add_argument(
        "--max-upload",
        type=_above_zero,
        metavar="MB",
        default=default.max_upload_bytes // MEGABYTE,
        help="the most that an upload may have, in megabytes (%(default)s)",
    )
    parser.add_argument(
        "--root-path",
        type=lambda text: f"/{text.strip('/')}".rstrip("/"),
        metavar="PATH",
        default="",
        help="path under which a proxy shows the app, such as /cosmos",
    )
    parser.add_argument(
        "--workers",
        type=int,
        choices=range(9),
        metavar="N",
        default=default.workers,
        help="score what is submitted, by so many processes on this machine (%(default)s)",
    )
    parser.add_argument(
        "--metrics-port",
        type=int,
        metavar="N",
        default=default.metrics_port,
        help="tell Prometheus how it goes, at http://127.0.0.1:N/metrics (off)",
    )
    return parser


def _above_zero(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def bound(host: str, port: int) -> socket.socket:
    """A socket on the address; a port that is taken is told of before anything heavy is imported.

    Raises:
        InputError: the address can't be listened on.
    """
    try:
        if not 0 <= port < 2**16:  # the system would take another instead
            raise OverflowError
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, OverflowError, UnicodeError):
        raise InputError(f"can't listen on {host}:{port}; give another --host or --port") from None
    return bound


if __name__ == "__main__":
    main()
