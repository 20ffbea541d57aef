"""The API, `/api/v1`: the board's tables as JSON, and a model's masks for a picture that is sent along.

Beside them stand the routes on submissions and those of workers, where there is a desk. Every refusal is
`{"detail": "one sentence"}`, of those also with a code.
"""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path as Folder
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, HTTPException, Path, Query
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException

from app import api_models as answers
from app import api_submissions, api_work
from app.api_gate import FORM_BYTES, Gate, Gates, Shares
from app.api_identity import Door
from app.api_prompt import Prompting, sentence
from app.api_refusals import PREFIX, SUBMISSIONS, WORK, away, refused, unfit
from app.options import Options
from cosmos1050k.errors import InputError
from cosmos1050k.notices import notices
from leaderboard.demo.engine import Engine
from leaderboard.demo.notice import NOTICE
from leaderboard.store.filters import Filter, ranking
from leaderboard.store.read import BoardReader
from leaderboard.submissions.desk import Desk
from leaderboard.submissions.entry import Trouble

NO_BOARD = "There is no board to show: whoever runs this server is to run `make repro`."
_DESCRIPTION = f"The COSMOS 1050K leaderboard. {NOTICE}"
#: Submitters, and workers, that are answered at once.
_MANY = 128

Found = TypeVar("Found")
Named = Annotated[str, Path(max_length=300)]

log = logging.getLogger(__name__)


def build_api(
    reader: BoardReader,
    engine: Engine,
    options: Options,
    folder: Callable[[], Folder],
    desk: Desk | None = None,
) -> FastAPI:
    """The app to mount at `PREFIX`.

    Args:
        folder: gives a new private folder for an upload.
        desk: None: no submissions are taken, nor shown.
    """
    api = FastAPI(title="COSMOS 1050K", version="1", description=_DESCRIPTION, docs_url=None, redoc_url=None)
    tables = Tables(reader)
    for path, ask, also in (
        ("/board", tables.board, ()),
        ("/models", tables.models, ()),
        ("/models/{name}", tables.model, (404,)),
        ("/pairs", tables.pairs, ()),
        ("/pairs/{pair:path}", tables.pair, (404,)),
    ):
        api.add_api_route(path, ask, methods=["GET"], responses=_refusals(422, 503, *also))
    api.add_api_route(
        "/prompt",
        Prompting(engine, folder).ask,
        methods=["POST"],
        responses=_refusals(400, 404, 408, 413, 415, 422, 503),
    )
    gates = {"": partial(Gate, most_bytes=options.max_upload_bytes + FORM_BYTES)}
    if desk is not None:
        api.include_router(api_submissions.routes(desk, folder))
        api.include_router(api_work.routes(desk))
        most = partial(api_submissions.most_bytes, desk, FORM_BYTES)
        gates[SUBMISSIONS] = partial(Gate, most_bytes=most, at_once=_MANY, shares=Shares())
        gates[WORK] = partial(Gate, most_bytes=api_work.most_bytes, at_once=_MANY)
    api.add_middleware(Gates, parts=gates)
    api.add_middleware(Door, tokens=desk.tokens if desk else None)
    api.add_exception_handler(RequestValidationError, unfit)
    api.add_exception_handler(StarletteHTTPException, refused)
    api.add_exception_handler(Trouble, away)
    return api


class Tables:
    """The routes on the board. They are answered in threads; each answer is of one board."""

    def __init__(self, reader: BoardReader) -> None:
        self._reader = reader

    def board(self, question: Annotated[answers.Question, Query()]) -> answers.Board:
        """The models under the tab's filters, ranked."""
        given = Filter(**question.model_dump(exclude={"kind"}), kinds=tuple(question.kind))
        return self._asked(_board, given)

    def models(self) -> answers.Models:
        """The models of the board."""
        return self._asked(_models)

    def model(self, name: Named) -> answers.ModelPage:
        """A model: what it declares, what was measured of it, its score on every pair, its runs."""
        return self._asked(_model, name)

    def pairs(self) -> answers.Pairs:
        """The pairs of the board."""
        return self._asked(_pairs)

    def pair(self, pair: Named) -> answers.PairPage:
        """A pair: its sources and counts, and the score of every model."""
        return self._asked(_pair, pair)

    def _asked(self, make: Callable[..., Found], *arguments: Any) -> Found:
        """What `make(reader, *arguments)` returns, all of it of one board; the reader follows the newest."""
        while True:
            build_id = self._build_id()
            try:
                found = make(self._reader, *arguments)
            except InputError as error:
                raise HTTPException(422, sentence(error)) from None
            if self._build_id() == build_id:
                return found

    def _build_id(self) -> str:
        try:
            return self._reader.build_id()
        except InputError as error:
            log.warning("%s", error)
            raise HTTPException(503, NO_BOARD) from None


def _board(reader: BoardReader, given: Filter) -> answers.Board:
    facts, found = reader.board(), ranking(reader, given)
    said = [str(one) for one in notices(facts["sources"], facts["phantoms"])]
    return answers.Board(
        board=answers.Facts(**facts, notices=[NOTICE, *said]),
        strategy=found.filter.strategy,
        selection=found.filter.selection,
        pairs=found.pairs,
        ranked=found.ranked,
        note=found.note,
        rows=[answers.Row.model_validate(row) for row in found.rows],
    )


def _models(reader: BoardReader) -> answers.Models:
    return answers.Models(models=[answers.Model(**row) for row in reader.models()])


def _model(reader: BoardReader, name: str) -> answers.ModelPage:
    declared = _named(reader.models(), "name", name, "model")
    gaps = reader.not_applicable()
    return answers.ModelPage(
        declaration=answers.Model(**declared),
        protocol_version=reader.board()["protocol_version"],
        not_applicable={strategy: reason for (model, strategy), reason in gaps.items() if model == name},
        measured=[answers.Measured(**row) for row in reader.measured().values() if row["model"] == name],
        runs=[answers.Run(**row) for row in reader.runs(name)],
        scores=[answers.Score(**row) for row in reader.model_scores(name)],
    )


def _pairs(reader: BoardReader) -> answers.Pairs:
    return answers.Pairs(pairs=[answers.Pair(**row) for row in reader.pair_list()])


def _pair(reader: BoardReader, name: str) -> answers.PairPage:
    pair = _named(reader.pair_list(), "pair", name, "pair")
    return answers.PairPage(
        pair=answers.Pair(**pair),
        sources=[answers.Source(**row) for row in reader.pair_sources(name)],
        scores=[answers.Score(**row) for row in reader.scores_of_pair(name)],
    )


def _named(rows: list[dict[str, Any]], key: str, name: str, what: str) -> dict[str, Any]:
    for row in rows:
        if row[key] == name:
            return row
    raise HTTPException(404, f"The board has no {what} {name!r}; {PREFIX}/{what}s lists those that it has.")


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": answers.Refusal} for status in statuses}
