"""Workers on the server's own machine, each a process that is started again when it ends."""

import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from leaderboard.submissions.connection import TOKEN
from leaderboard.submissions.tokens import Tokens

#: Whose tokens these are, and for how many days: they are made anew with every start.
_NAME, _DAYS = "local-worker", 400
#: Seconds until a worker that ended is started again: the first time, and at most.
_FIRST_S, _LONGEST_S = 1.0, 60.0

log = logging.getLogger(__name__)


class LocalWorkers:
    """Runs workers for a server, beside it; none outlives it by more than a moment."""

    def __init__(self, address: str, tokens: Tokens, count: int, work: Path, data: Path) -> None:
        """Args:
        address: the server's own, such as `http://127.0.0.1:7860`.
        work: the folder below which each has one of its own.
        data: the built sources.
        """
        self._ending = threading.Event()
        self._threads = []
        if count:
            for token in tokens.list():
                if token.name == _NAME and token.revoked is None:
                    tokens.revoke(token.id)
            secret = tokens.create(_NAME, "worker", _DAYS)
            self._environment = os.environ | {TOKEN: secret}
        for number in range(1, count + 1):
            name = f"local {number}"
            command = [
                *_with_us(),
                sys.executable,
                "-m",
                "leaderboard.submissions.worker",
                "--server",
                address,
            ]
            command += ["--work", str(work / f"local-{number}"), "--data", str(data), "--name", name]
            command += ["--insecure"]  # the server is on this machine: nothing leaves it
            thread = threading.Thread(target=self._keep, args=(name, command), name=name, daemon=True)
            self._threads.append(thread)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Ends them; what they worked on goes back into the queue when its lease runs out."""
        self._ending.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(20)

    def _keep(self, name: str, command: list[str]) -> None:
        wait = _FIRST_S
        while not self._ending.is_set():
            started = time.monotonic()
            with subprocess.Popen(command, env=self._environment, stdin=subprocess.DEVNULL) as process:
                while process.poll() is None:
                    if self._ending.wait(0.2):
                        process.terminate()
                        break
            if self._ending.is_set():
                return
            if time.monotonic() - started > _LONGEST_S:
                wait = _FIRST_S
            if wait < _LONGEST_S:
                told = "the worker %r ended with status %s; it is started again in %.0f s"
                log.warning(told, name, process.returncode, wait)
            self._ending.wait(wait)
            wait = min(2 * wait, _LONGEST_S)


def _with_us() -> list[str]:
    """What a command begins with so that it ends with the thread that started it, however that ends."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
