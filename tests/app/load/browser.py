"""What a browser sends when it shows a page of the app and somebody uses it, without the browser.

Gradio's protocol: the page's config lists components and events; an event past the queue is one request, a
queued one a request to join and a stream that ends with the answer. Nothing here names an event by number.
"""

import json
import secrets
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent.event import AsyncResult
from locust.contrib.fasthttp import FastHttpUser

#: Seconds that an answer may take before it counts as none.
TIMEOUT = 60
_LENGTH = 11
_MARK = b"window.gradio_config = "


class Failed(Exception):
    """The server's answer is no answer."""


class App:
    """The app's components and events, as its pages tell of them."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.components = {one["id"]: one for one in config["components"]}
        self.events = {one["id"]: one for one in config["dependencies"]}

    def component(self, **told: str) -> int:
        """The first whose properties are these: `label="View"`."""
        for key, one in self.components.items():
            if all(one["props"].get(name) == value for name, value in told.items()):
                return int(key)
        raise Failed(f"the page has no component {told}")

    def triggered(self, component: int | None, event: str) -> list[dict[str, Any]]:
        """The events of a component, those of the page itself if None."""
        return [
            one
            for one in self.events.values()
            if any(name == event and component in (None, key) for key, name in one["targets"])
        ]

    def after(self, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The events that follow one; those that only a browser runs are over at once."""
        for one in self.events.values():
            if one["trigger_after"] == event["id"]:
                if one["backend_fn"]:
                    yield one
                else:
                    yield from self.after(one)


class Page:
    """One opened page: its session, its values, its connection that says that it is still open."""

    def __init__(self, user: FastHttpUser, app: App) -> None:
        self._user, self._app = user, app
        self._session, self._query = "", ""
        self._beat: HTTPConnection | None = None
        self._props: dict[int, dict[str, Any]] = {}
        self._running: list[gevent.Greenlet] = []
        self._asked, self._reader = 0, None
        self._answers: defaultdict[str, AsyncResult] = defaultdict(AsyncResult)

    def open(self, query: str) -> dict[int, Any]:
        """Loads a page, whose earlier one is left, and what it asks for on its own.

        Returns:
            What its events past the queue changed, by component. The queued ones go on beside.
        """
        self.leave()
        self._asked, self._reader = 0, None
        self._answers.clear()
        self._session, self._query = secrets.token_hex(8)[:_LENGTH], query
        self._props = {key: dict(one["props"]) for key, one in self._app.components.items()}
        with self._user.client.get(f"/{query}", name="page", catch_response=True) as html:
            if _MARK not in (html.content or b""):
                html.failure("no page of Gradio")
                raise Failed("no page of Gradio")
        self._beat = self._heartbeat()
        changed: dict[int, Any] = {}
        events = [one for one in self._app.triggered(None, "load") if one["backend_fn"]]
        for event in sorted(events, key=lambda one: not one["queue"]):
            changed |= self._run(event)
        return changed

    def select(self, component: int) -> None:
        """Somebody opens a tab."""
        for event in self._app.triggered(component, "select"):
            self._run(event)

    def input(self, component: int, value: Any) -> dict[int, Any]:
        """Somebody gives a component a value."""
        self._props[component]["value"] = value
        changed: dict[int, Any] = {}
        for event in self._app.triggered(component, "input"):
            changed |= self._run(event)
        return changed

    def wait(self) -> None:
        """Until all queued events are answered."""
        while self._running:
            gevent.joinall(self._running)
            self._running = [one for one in self._running if not one.dead]

    @property
    def opened(self) -> bool:
        """Whether a page is open."""
        return self._beat is not None

    def prop(self, component: int, name: str) -> Any:
        """A property of a component, as the page holds it by now."""
        return self._props[component].get(name)

    def leave(self) -> None:
        """Closes the page."""
        self.wait()
        if self._beat is not None:
            self._beat.close()
            self._beat = None

    def _heartbeat(self) -> HTTPConnection:
        connection = self._connection()
        connection.request("GET", f"/gradio_api/heartbeat/{self._session}")
        return connection

    def _run(self, event: dict[str, Any]) -> dict[int, Any]:
        if not event["backend_fn"]:  # a browser runs it by itself
            changed: dict[int, Any] = {}
            for following in self._app.after(event):
                changed |= self._run(following)
            return changed
        if not event["queue"]:
            return self._took(event, self._straight(event))
        self._running.append(gevent.spawn(self._took_queued, event))
        return {}

    def _took_queued(self, event: dict[str, Any]) -> None:
        self._took(event, self._queued(event))

    def _body(self, event: dict[str, Any]) -> dict[str, Any]:
        props = [self._props[key] for key in event["inputs"]]
        data = [None if one["name"] == "state" else one.get("value") for one in props]
        index = {"fn_index": event["id"], "session_hash": self._session}
        return {"data": data, "event_data": None, "trigger_id": event["targets"][0][0], **index}

    def _straight(self, event: dict[str, Any]) -> list[Any]:
        name = f"event {event['api_name']}"
        path = f"/gradio_api/run/predict{self._query}"
        with self._user.client.post(path, json=self._body(event), name=name, catch_response=True) as answer:
            found = json.loads(answer.content) if answer.status_code == 200 else {}
            if "data" not in found:
                answer.failure(f"answered {answer.status_code}: {(answer.content or b'')[:200]!r}")
                raise Failed(name)
            return list(found["data"])

    def _queued(self, event: dict[str, Any]) -> list[Any]:
        """Joins the queue, and reads the stream until the answer comes."""
        with timed(self._user, "QUEUE", f"queued {event['api_name'].rstrip('_0123456789')}"):
            path = f"/gradio_api/queue/join{self._query or '?'}"
            joined = self._user.client.post(path, json=self._body(event), name="queue/join")
            own = json.loads(joined.content)["event_id"] if joined.status_code == 200 else None
            if own is None:
                raise Failed(f"queue/join answered {joined.status_code}")
            return self._streamed(own)

    def _streamed(self, own: str) -> list[Any]:
        self._asked += 1
        if self._reader is None or self._reader.dead:
            self._reader = gevent.spawn(self._read)
        told = self._answers[own].get(timeout=TIMEOUT)
        if not told["success"]:
            raise Failed(f"a queued event failed: {told}")
        return list(told["output"]["data"])

    def _read(self) -> None:
        """The page's stream: one for all its events, opened anew while some are not answered."""
        while self._asked:
            connection = self._connection()
            connection.request("GET", f"/gradio_api/queue/data?session_hash={self._session}")
            for line in connection.getresponse():
                told = json.loads(line.removeprefix(b"data:")) if line.startswith(b"data:") else {}
                if told.get("msg") == "process_completed":
                    self._asked -= 1
                    self._answers[told["event_id"]].set(told)
            connection.close()

    def _connection(self) -> HTTPConnection:
        address = urlsplit(self._user.host or "")
        return HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT)

    def _took(self, event: dict[str, Any], data: list[Any]) -> dict[int, Any]:
        """Heeds an answer: values change, and what follows the event or listens to the values is run."""
        changed = dict(zip(event["outputs"], data, strict=True))
        for key, told in changed.items():
            before = self._props[key].get("value")
            updated = isinstance(told, dict) and told.get("__type__") == "update"
            self._props[key] |= told if updated else {"value": told}
            if self._props[key].get("value") != before:
                for listener in self._app.triggered(key, "change"):
                    self._run(listener)
        for follower in self._app.after(event):
            self._run(follower)
        return changed


@contextmanager
def timed(user: FastHttpUser, kind: str, name: str) -> Iterator[None]:
    """Counts what is done inside as one request of Locust's, failed if it raises."""
    start, failure = time.perf_counter(), None
    try:
        yield
    except Exception as error:
        failure = error
        raise
    finally:
        user.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=1000 * (time.perf_counter() - start),
            response_length=0,
            exception=failure,
            context={},
        )
