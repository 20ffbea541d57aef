"""A stand-in for the scoring child, which tries what that may not do and prints what it could."""

import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from leaderboard.submissions.cage import FILE_BYTES, OPEN_FILES, PROCESSES


def _connects(port: str) -> None:
    socket.create_connection(("127.0.0.1", int(port)), timeout=5).close()


def _reads(file: str) -> None:
    Path(file).read_bytes()


def _others() -> None:
    """Another process's environment, of which more is seen than was told this one."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().keys() - os.environ.keys():
                return
    raise PermissionError("no other process can be looked into")


def _writes(file: str) -> None:
    Path(file).write_text("")


def _long_file() -> None:
    with Path("tmp/long").open("wb") as stream:
        os.pwrite(stream.fileno(), b"1", FILE_BYTES)


def _many_files() -> None:
    opened = []
    try:
        for _ in range(OPEN_FILES + 1):
            opened.append(os.open(os.devnull, os.O_RDONLY))
    finally:
        for one in opened:
            os.close(one)


def _many_processes() -> None:
    """Threads, which count as processes do."""
    threading.stack_size(64 * 1024)
    done, started = threading.Event(), []
    try:
        for _ in range(PROCESSES + 1):
            started.append(threading.Thread(target=done.wait))
            started[-1].start()
    finally:
        done.set()


def _could(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except (OSError, RuntimeError):  # a thread that can't start is the latter
        return False
    return True


def main() -> None:
    port, secret, outside = sys.argv[1:]
    could = {
        "network": _could(lambda: _connects(port)),
        "others": _could(_others),
        "secret": _could(lambda: _reads(secret)),
        "outside": _could(lambda: _writes(outside)),
        "long file": _could(_long_file),
        "many files": _could(_many_files),
        "many processes": _could(_many_processes),
    }
    print(json.dumps({"could": could, "environment": sorted(os.environ)}))  # noqa: T201 (read by `sandbox.check`)


if __name__ == "__main__":
    main()
