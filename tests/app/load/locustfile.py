"""Who looks at the board and who clicks in the demo, for Locust.

`COSMOS_VIEWERS` and `COSMOS_CLICKERS` say how many. What is judged is of the kind `PERSON`: what a person
waits for, from the page's address, or the click, to what is shown.
"""

import json
import os
import random
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from locust import FastHttpUser, constant_pacing, events, task
from locust.env import Environment

from app import links
from app.demo.linked import DEMO
from app.place import TAB, VIEWS, Place
from leaderboard.store.views import DEFAULT
from tests.app.load.browser import App, Failed, Page, timed

VIEW_EVERY, CLICK_EVERY = 10, 3
PERSON = "PERSON"
#: Clicks on a picture before it is cleared, and before another picture is opened.
_POINTS, _STAY = 4, 12

_random = random.Random(0)
_known: dict[str, Any] = {}


@events.test_start.add_listener
def learn(environment: Environment, **_: Any) -> None:
    """What the app and its board are made of, once for all users: a browser learns it of every page.

    The demo is opened once, which imports what its models stand on: the server that is judged has been up.
    """
    for name, path in (("config", "/config"), ("models", "/api/v1/models"), ("pairs", "/api/v1/pairs")):
        with urlopen(f"{environment.host}{path}", timeout=60) as answer:
            _known[name] = json.load(answer)
    _known["app"] = App(_known["config"])
    _Person.host = environment.host
    first = Clicker(environment)
    first.on_start()
    first.clicks_once()
    first.on_stop()
    environment.stats.reset_all()


class _Person(FastHttpUser):
    abstract = True
    network_timeout = connection_timeout = 60.0

    def on_start(self) -> None:
        self.page = Page(self, _known["app"])

    def on_stop(self) -> None:
        self.page.leave()


class Viewer(_Person):
    """Every ten seconds opens a view of the board, changes the one that is open, or asks the API for it."""

    fixed_count = int(os.environ.get("COSMOS_VIEWERS", "100"))
    wait_time = constant_pacing(VIEW_EVERY)

    @task(6)
    def opens(self) -> None:
        with timed(self, PERSON, "a view is opened by its link"):
            changed = self.page.open(links.query(_place(), TAB))
            self._shows(changed)
        self.page.wait()

    @task(3)
    def changes(self) -> None:
        if not self.page.opened:
            return self.opens()
        app = _known["app"]
        view = app.component(label="View")
        with timed(self, PERSON, "a view is changed by a control"):
            if _random.random() < 0.5:
                changed = self.page.input(view, _random.choice(list(VIEWS)))
            else:
                changed = self.page.input(app.component(label="Strategy"), _strategy())
            self._shows(changed)
        self.page.wait()

    @task(1)
    def asks(self) -> None:
        query = urlencode({"strategy": _strategy()})
        address, name = f"/api/v1/board?{query}", "api/v1/board"
        with (
            timed(self, PERSON, "the board is asked of the API"),
            self.client.get(address, name=name, catch_response=True) as answer,
        ):
            content = answer.content or b""
            if answer.status_code == 422 and b"has no strategy" in content:  # of a small board
                answer.success()
            elif answer.status_code != 200 or not json.loads(content)["rows"]:
                raise Failed(f"no row of the board: {answer.status_code} {content[:200]!r}")

    def _shows(self, changed: dict[int, Any]) -> None:
        """Raises if the answer shows neither a view nor why there is none, such as of a filter's leaving."""
        text = json.dumps(list(changed.values()))
        if "data-heeds" not in text or not ("<h2>" in text or "board-said" in text or "board-notice" in text):
            raise Failed(f"no view in {text[:300]}")


class Clicker(_Person):
    """Clicks into a picture of the dataset every three seconds, with the model that is chosen at first."""

    fixed_count = int(os.environ.get("COSMOS_CLICKERS", "10"))
    wait_time = constant_pacing(CLICK_EVERY)

    def on_start(self) -> None:
        super().on_start()
        app = _known["app"]
        self.canvas = app.component(elem_id="demo-canvas")
        self.clicks, self.points = 0, []

    @task
    def clicks_once(self) -> None:
        if self.clicks % _STAY == 0:
            self._another()
        self.clicks += 1
        if len(self.points) == _POINTS:
            self.points = []
        x, y = _random.randrange(self.picture["width"]), _random.randrange(self.picture["height"])
        self.points = [*self.points, [x, y, int(_random.random() < 0.7)]]
        given = {"points": self.points, "box": None, "key": self.picture["key"], "turned": 0}
        with timed(self, PERSON, "a click is answered by a mask"):
            text = json.dumps(list(self.page.input(self.canvas, given).values()))
            if "Predicted IoU" not in text:
                raise Failed(f"no mask in {text[:300]}")

    def _another(self) -> None:
        """Opens the demo anew, at the first picture or another one of its list."""
        with timed(self, "DEMO", "a picture of the dataset is opened"):
            self.page.open(f"?{urlencode({'tab': DEMO})}")
            self.page.select(_known["app"].component(label="Demo"))
            self.page.wait()
            image = _known["app"].component(label="Image")
            names = [value for _, value in self.page.prop(image, "choices")]
            self.page.input(image, _random.choice(names))
            self.page.wait()
        self.picture = self.page.prop(self.canvas, "props")["picture"]
        self.points = []


def _place() -> Place:
    """A view as somebody might have linked it: half of the time the ranking."""
    view = "ranking" if _random.random() < 0.5 else _random.choice(list(VIEWS))
    models, pairs = _known["models"]["models"], _known["pairs"]["pairs"]
    first, second = (_random.choice(models)["name"] for _ in range(2))
    pair = _random.choice(pairs)
    return Place(
        view=view,
        strategy=_strategy(),
        modality=_random.choice(["", "", pair["modality"]]),
        pair=pair["pair"] if view == "pair" else "",
        model=first if view in ("model", "spread", "compare") else "",
        other=second if view == "compare" and second != first else "",
    )


def _strategy() -> str:
    """Half of the time the one that ranks."""
    choices = _known["app"].components[_known["app"].component(label="Strategy")]["props"]["choices"]
    return DEFAULT if _random.random() < 0.5 else str(_random.choice(choices)[1])
