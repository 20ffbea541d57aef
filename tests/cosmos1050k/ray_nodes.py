"""A Ray cluster of several nodes on this machine, some of which can be lost."""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unittest import mock

from cosmos1050k import cluster
from cosmos1050k.pool import Cluster
from cosmos1050k.units import Units
from tests.conftest import ROOT

_MEMORY = 80 * 2**20
#: Ray gives a node's helpers 15 s to tell their ports, which a busy machine may need more than once.
_TRIES = 5
_HELPERS = ("metrics_agent", "dashboard_agent_listen", "metrics_export", "runtime_env_agent")


class Nodes:
    """A head with no core and two GPUs that are none, and nodes of so many cores; no more than tests need."""

    def __init__(self, cores: Sequence[int]) -> None:
        self._cores = cores
        self._environment = mock.patch.dict(
            os.environ, {"RAY_enable_metrics_collection": "0", "PYTHONPATH": str(ROOT)}
        )
        # As if Ray were installed without its dashboard: its nodes start in half the time.
        self._modules = mock.patch.dict(sys.modules, {"ray.dashboard.optional_deps": None})

    def __enter__(self) -> "Nodes":
        from ray.cluster_utils import Cluster as Started

        self._environment.start()
        self._modules.start()
        self._started: Any = Started()
        try:
            self._add(0, num_gpus=2, no_monitor=True)
            self._others = [self._add(cores) for cores in self._cores]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        ray.shutdown()
        self._started.shutdown()
        self._modules.stop()
        self._environment.stop()

    @property
    def cluster(self) -> Cluster:
        return Cluster(self._started.address)

    def lose(self) -> None:
        """One node is gone from one moment to the next, with all that ran on it."""
        self._started.remove_node(self._others.pop(), allow_graceful=False)

    @contextmanager
    def losing_one(self, store: Units) -> Iterator[list[object]]:
        """A node is lost as soon as something is in `store`; the value collects the tasks that go with it."""
        lost: list[object] = []
        found = cluster._found

        def seen(ray: Any, ref: Any, task: Any) -> Any:
            what = found(ray, ref, task)
            if what is None:
                lost.append(task)
            return what

        def lose() -> None:
            until(lambda: any(store.folder.glob("[!.]*")))
            self.lose()

        with mock.patch.object(cluster, "_found", seen), ThreadPoolExecutor(1) as thread:
            future = thread.submit(lose)
            yield lost
            future.result()
        self.whole()

    def whole(self) -> None:
        """All are there again."""
        for cores in self._cores[len(self._others) :]:
            self._others.append(self._add(cores))

    def _add(self, cores: int, **more: Any) -> Any:
        for last in (False,) * (_TRIES - 1) + (True,):
            ports = {f"{name}_port": port for name, port in zip(_HELPERS, _free(len(_HELPERS)), strict=True)}
            try:
                return self._started.add_node(
                    num_cpus=cores, object_store_memory=_MEMORY, include_dashboard=False, **ports, **more
                )
            except Exception:  # Ray's own is of no closer class
                if last:
                    raise
        raise AssertionError


def until(holds: Callable[[], bool]) -> None:
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it never came")


def _free(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
