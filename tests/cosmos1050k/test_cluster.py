"""On a Ray cluster the pool does what it does in processes; what a lost machine had is done elsewhere."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cosmos1050k import build, cluster, index, pool, sources, units
from cosmos1050k.errors import InputError
from cosmos1050k.pool import Cluster, Fatal, Outcome
from tests.cosmos1050k.ray_nodes import Nodes, until
from tests.cosmos1050k.test_build import content
from tests.cosmos1050k.test_pool import SLOW_S, late_first, troubled

TASKS = 1000
Fate = Callable[[Any, int], Exception | None]


class FakeRay:
    """What `cluster` calls of Ray; of the tasks it was given the last one ends first, or the first one.

    `fate` says of a task and the number of times that it was begun what befalls it instead, if anything.
    """

    def __init__(self, fate: Fate = lambda task, time: None, ends: int = -1) -> None:
        self.fate, self.ends, self.resources = fate, ends, {"CPU": 3.0}
        self.begun: list[Any] = []
        self.options: dict[str, Any] = {}
        self.cancelled: list[Any] = []
        self.most = 0

    def remote(self, _: Callable[..., Any]) -> Any:
        def options(**given: Any) -> Any:
            self.options = given
            return SimpleNamespace(remote=lambda function, task, limit, token: (function, task, object()))

        return SimpleNamespace(options=options)

    def cluster_resources(self) -> dict[str, float]:
        return self.resources

    def wait(self, refs: list[Any], num_returns: int = 1, timeout: float = 0) -> tuple[list[Any], list[Any]]:
        self.most = max(self.most, len(refs))
        return [refs[self.ends]], []

    def get(self, ref: Any) -> tuple[Any, str | None]:
        function, task, _ = ref
        self.begun.append(task)
        if error := self.fate(task, self.begun.count(task)):
            raise error
        return function(task), None

    def cancel(self, ref: Any, *, force: bool) -> None:
        assert force
        self.cancelled.append(ref[1])


@pytest.fixture
def on_fake(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Iterator[Outcome]]:
    pytest.importorskip("ray")

    def run(fake: FakeRay, tasks: Any, workers: int | None = None, **more: Any) -> Iterator[Outcome]:
        monkeypatch.setattr(cluster, "_connected", lambda *_: fake)
        return pool.run(abs, tasks, workers=workers, timeout_s=60, label="test", cluster=Cluster(), **more)

    return run


def test_few_tasks_wait_at_the_cluster_and_outcomes_keep_their_order(on_fake: Callable) -> None:
    for workers, most in ((None, 2 * 3), (4, 4)):
        fake = FakeRay()
        assert list(on_fake(fake, range(-TASKS, 0), workers)) == [
            Outcome(task, -task) for task in range(-TASKS, 0)
        ]
        assert fake.most == most
        assert fake.options == {"num_cpus": 1, "max_retries": 0, "name": "test"}
        assert sorted(fake.begun) == list(range(-TASKS, 0))


def test_what_is_lost_with_its_machine_is_run_again_but_not_for_ever(on_fake: Callable) -> None:
    from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

    def fate(task: int, time: int) -> Exception | None:
        if task == 2 and time < 3:
            return NodeDiedError("") if time == 1 else WorkerCrashedError()
        if task == 4:
            return WorkerCrashedError()
        return OutOfMemoryError("") if task == 5 else None

    fake = FakeRay(fate)
    failures = {4: "its process was lost 3 times", 5: "out of memory: try fewer workers"}
    assert list(on_fake(fake, range(8))) == [
        Outcome(task, None, failures[task]) if task in failures else Outcome(task, task) for task in range(8)
    ]
    assert sorted(fake.begun) == sorted([*range(8), 2, 2, 4, 4])


def test_after_a_fault_no_task_is_begun_and_those_begun_are_cancelled(on_fake: Callable) -> None:
    from ray.exceptions import RayTaskError

    error = RayTaskError("f", "the traceback there", Fatal("the disk is full"))
    fake = FakeRay(lambda task, _: error if task == 5 else None)
    found = on_fake(fake, range(100))
    assert [next(found).result for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(Fatal, match=r"^the disk is full$"):
        next(found)
    assert max(fake.begun) == 5


def test_a_consumer_that_leaves_cancels_what_runs(on_fake: Callable) -> None:
    fake = FakeRay(ends=0)
    found = on_fake(fake, range(100))
    assert next(found) == Outcome(0, 0)
    found.close()
    assert (fake.begun, fake.cancelled) == ([0], [1, 2, 3, 4, 5])


def test_a_gpu_is_asked_for_and_must_be_there(on_fake: Callable) -> None:
    fake = FakeRay()
    with pytest.raises(InputError, match="has no GPU"):
        next(on_fake(fake, [1], gpu=True))
    fake.resources = {"GPU": 1.0}
    assert list(on_fake(fake, [-1], gpu=True)) == [Outcome(-1, 1)]
    assert fake.options == {"num_gpus": 1, "num_cpus": 0, "max_retries": 0, "name": "test"}


def test_without_ray_one_line_says_how_to_get_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"needs the package ray; run `pip install"):
        list(pool.run(abs, [1], workers=1, timeout_s=60, label="test", cluster=Cluster()))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:ray"])
def test_where_no_cluster_is_one_line_says_so(project: Path, address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(InputError) as caught:
        list(pool.run(abs, [1], workers=1, timeout_s=60, label="test", cluster=Cluster(address)))
    assert f"runtime.ray_address: no cluster at {address} (" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_local_ray_that_does_not_start_is_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")

    def late(*_: Any, **__: Any) -> None:
        raise Exception("The node timed out during startup.\nMore of it")

    monkeypatch.setattr(ray, "init", late)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(InputError) as caught:
        list(pool.run(abs, [1], workers=1, timeout_s=60, label="test", cluster=Cluster()))
    assert str(caught.value) == (
        "runtime.engine: Ray did not start on this machine (The node timed out during startup); "
        "run it again, or say processes"
    )


def test_a_worker_runs_in_the_driver_s_folder_or_says_that_it_does_not_see_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with cluster._seen() as token:
        os.chdir("/")
        try:
            assert cluster._in_worker(where, 0, 60, token) == (str(project), None)
            crashed = None, "its process crashed (exit code 3)"
            assert cluster._in_worker(troubled, "exit", 60, token) == crashed
        finally:
            cluster._stop()
    assert not token.exists()
    with pytest.raises(Fatal) as caught:
        cluster._in_worker(where, 0, 60, token)
    assert f"does not see {project}/data/units; mount {project} there" in str(caught.value)


def where(_: int) -> str:
    return str(Path.cwd())


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Two nodes of one core."""
    pytest.importorskip("ray")
    with Nodes(cores=(1, 1)) as started:
        yield started


@pytest.fixture
def on_ray(nodes: Nodes, project: Path) -> Cluster:
    return nodes.cluster


@pytest.mark.slow
def test_tasks_fare_as_in_processes(on_ray: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    def both(function: Callable, tasks: list, timeout_s: float = 60) -> list[list[Outcome]]:
        ways: tuple[Cluster | None, ...] = (None, on_ray)
        given: dict[str, Any] = {"workers": 2, "timeout_s": timeout_s, "label": "test"}
        return [list(pool.run(function, tasks, cluster=way, **given)) for way in ways]

    here, there = both(late_first, list(range(12)))
    assert here == there
    here, there = both(troubled, ["good", "input", "file", "exit", "segfault", "kill", "good"])
    assert here == there
    assert len({outcome.failure for outcome in there}) == 6
    here, there = both(troubled, ["good", "hang", "deaf", "better"], timeout_s=2)
    assert here == there
    assert [outcome.result for outcome in there] == ["GOOD", None, None, "BETTER"]
    assert capsys.readouterr().out == ""


@pytest.mark.slow
@pytest.mark.parametrize("task", ["fault", "own timeout"])
def test_a_fault_of_the_program_is_raised(on_ray: Cluster, task: str) -> None:
    found = pool.run(
        troubled, ["good", task, "hang"], workers=1, timeout_s=SLOW_S, label="test", cluster=on_ray
    )
    assert next(found) == Outcome("good", "GOOD")
    with pytest.raises((KeyError, TimeoutError), match=r"a fault of the program|of the task's own"):
        next(found)


def visible(folder: Path) -> tuple[str, set[int]]:
    (folder / str(os.getpid())).touch()
    until(lambda: len(pids(folder)) == 2)
    return os.environ["CUDA_VISIBLE_DEVICES"], os.sched_getaffinity(0)


@pytest.mark.slow
def test_each_task_sees_a_gpu_of_its_own_and_has_its_share_of_the_cores(
    on_ray: Cluster, tmp_path: Path
) -> None:
    found = pool.run(
        visible, [tmp_path] * 2, workers=None, timeout_s=200, label="test", cluster=on_ray, gpu=True
    )
    shares = dict(outcome.result for outcome in found if outcome.result)
    assert shares.keys() == {"0", "1"}
    all_cores = os.sched_getaffinity(0)
    assert shares["0"] | shares["1"] == all_cores
    assert len(all_cores) == 1 or not shares["0"] & shares["1"]


def cores(_: int) -> set[int]:
    return os.sched_getaffinity(0)


@pytest.mark.slow
def test_a_task_without_a_gpu_keeps_all_cores(on_ray: Cluster) -> None:
    (found,) = pool.run(cores, [1], workers=1, timeout_s=200, label="test", cluster=on_ray)
    assert found.result == os.sched_getaffinity(0)


def quick_or_hanging(task: tuple[Path, int]) -> None:
    folder, number = task
    if number:
        (folder / str(os.getpid())).touch()
        time.sleep(SLOW_S)


@pytest.mark.slow
def test_a_consumer_that_leaves_ends_the_processes(on_ray: Cluster, tmp_path: Path) -> None:
    tasks = [(tmp_path, number) for number in range(4)]
    found = pool.run(quick_or_hanging, tasks, workers=None, timeout_s=SLOW_S, label="test", cluster=on_ray)
    assert next(found) == Outcome(tasks[0], None)
    until(lambda: len(pids(tmp_path)) == 2)
    found.close()
    until(lambda: not any(Path("/proc", pid).exists() for pid in pids(tmp_path)))


def pids(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.isdigit()]


def unit_of(task: tuple[Path, int]) -> None:
    """Writes its unit; from the fifth task on only when the gate is open."""
    folder, number = task
    with (folder / "begun").open("a") as file:
        file.write(f"{number} {os.getpid()}\n")
    while number >= 4 and not (folder / "gate").exists():
        time.sleep(0.1)
    with units.Units("test", folder).write(str(number)) as unit:
        (unit / "content").write_text(str(number))


def begun(folder: Path) -> list[tuple[int, str]]:
    file = folder / "begun"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(int(line.split()[0]), line.split()[1]) for line in lines]


def waiting(folder: Path) -> set[str]:
    """The processes that wait for the gate."""
    pids = {pid for number, pid in begun(folder) if number >= 4}
    return {pid for pid in pids if Path("/proc", pid).exists()}


@pytest.mark.slow
def test_a_lost_node_loses_nothing_and_doubles_nothing(nodes: Nodes, on_ray: Cluster, tmp_path: Path) -> None:
    tasks = [(tmp_path, number) for number in range(12)]

    def lose_one() -> None:
        try:
            until(lambda: len(waiting(tmp_path)) == 2)  # one on each node
            nodes.lose()
            until(lambda: len(waiting(tmp_path)) < 2)
        finally:
            (tmp_path / "gate").touch()

    thread = threading.Thread(target=lose_one)
    thread.start()
    given: dict[str, Any] = {"workers": None, "timeout_s": 600, "label": "test"}
    found = list(pool.run(unit_of, tasks, cluster=on_ray, **given))
    thread.join()
    nodes.whole()
    assert found == [Outcome(task, None) for task in tasks]
    written = {path.name: (path / "content").read_text() for path in (tmp_path / "test").glob("[!.]*")}
    assert written == {str(number): str(number) for number in range(12)}
    times = [[number for number, _ in begun(tmp_path)].count(number) for number in range(12)]
    assert sorted(times) == [1] * 11 + [2]  # the one that was on the lost node


@pytest.mark.slow
def test_a_build_that_loses_a_node_has_the_bytes_of_one_in_processes(
    nodes: Nodes, on_ray: Cluster, tmp_path: Path, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = units.Units("build", tmp_path / "units")
    found = index.scan(sources.get("sample").SOURCE, memory=tmp_path / "seen")
    with nodes.losing_one(store) as lost:
        manifest = build.build("sample", found, tmp_path / "sample", cluster=on_ray, store=store)
    assert lost
    assert manifest.skipped == ()
    assert content(tmp_path / "sample") == content(sample / "sample")
    kept = sample / "units/build"
    assert content(store.folder) == content(kept)
