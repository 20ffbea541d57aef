"""`/submissions`: submitting a checkpoint, following it, and what owners and admins do with it."""

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path as Folder
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Path, Query, Request
from starlette.datastructures import UploadFile

from app import api_submission_models as answers
from app.api_identity import BEARER, admin, one_of, owns, sees, who
from app.api_prompt import line, sentence
from app.api_refusals import AWAY, SUBMISSIONS, Coded, without_paths
from cosmos1050k.errors import InputError
from leaderboard.submissions.declared import parsed
from leaderboard.submissions.desk import Desk
from leaderboard.submissions.entry import Entry, LeaseLost, Trouble, Unknown
from leaderboard.submissions.refusals import Refused
from leaderboard.submissions.states import STATES, State
from leaderboard.submissions.terms import Limits
from leaderboard.submissions.tokens import Identity

_WANTED = "Send a form: `submission`, a declaration as JSON, and a `file` unless it is on the Hub."
#: Submissions that are copied and checked at once, in threads of their own: the others' answers don't wait.
_AT_ONCE = 8
#: Bytes of a declaration.
_MOST_DECLARED = 100_000
_STATUS = {"too-large": 413, "name-taken": 409, "quota": 429, "too-many-open": 429}
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["submission"],
                    "properties": {
                        "submission": {
                            "type": "string",
                            "description": "The declaration, as JSON: name, architecture, licence, contact, "
                            "weights if they are on the Hub; if need be preprocessing, candidates, made_for, "
                            "description, trained_on, link",
                        },
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "A safetensors file, of the whole model or of its mask decoder",
                        },
                    },
                }
            }
        },
    }
}

Id = Annotated[str, Path(max_length=40, description="Of a submission")]

log = logging.getLogger(__name__)


class Submitting:
    """The routes' answers."""

    def __init__(self, desk: Desk, folder: Callable[[], Folder]) -> None:
        self._desk, self._folder, self._few = desk, folder, CapacityLimiter(_AT_ONCE)

    async def submit(self, request: Request) -> answers.Receipt:
        """Takes a checkpoint in; what is wrong with it is said at once."""
        identity = one_of(request, ("submitter", "admin"))
        with refusing(503):
            self._desk.terms()  # before anything is read: what could not be scored is not taken
            async with request.form(max_files=1, max_fields=1, max_part_size=_MOST_DECLARED) as form:
                text, file = form.get("submission"), form.get("file")
                if not isinstance(text, str) or not (file is None or isinstance(file, UploadFile)):
                    raise Coded(422, "form", _WANTED)
                return await to_thread.run_sync(self._taken, identity, text, file, limiter=self._few)

    def _taken(self, identity: Identity, text: str, file: UploadFile | None) -> answers.Receipt:
        declared, folder = parsed(text), self._folder()
        try:
            upload = _copied(file, folder / "weights") if file else None
            receipt = self._desk.submit(declared, identity.name, upload)
        finally:
            shutil.rmtree(folder)
        entry = receipt.entry
        return answers.Receipt(
            id=entry.id, state=entry.state, place=receipt.place, page=page(entry.id), already=receipt.already
        )

    def submissions(
        self,
        request: Request,
        state: Annotated[list[State], Query(description="Repeatable; none: all")] = [],  # noqa: B006
        mine: Annotated[bool, Query(description="Those of who asks")] = False,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> answers.Submissions:
        """Submissions, the newest first."""
        identity = one_of(request, ("submitter", "admin", "worker")) if mine else who(request)
        found = self._desk.queue.entries(
            identity=identity.name if mine and identity else None, states=state or STATES, limit=limit
        )
        return self._listed([entry for entry in found if sees(identity, entry)], identity)

    def submission(self, request: Request, id: Id) -> answers.SubmissionPage:
        """A submission: what is said of it, where it is, what happened to it."""
        identity = who(request)
        entry, own = self._found(id, identity)
        declared = entry.declared
        said = {name: getattr(declared, name) for name in answers.Declaration.model_fields}
        events = self._desk.queue.events(entry.id)
        more = {name: getattr(entry, name) for name in _PAGE}
        return answers.SubmissionPage(
            **self._shown(entry, identity, self._desk.queue.place(entry.id)).model_dump(),
            **more,
            declaration=answers.Declaration(**said | {"contact": declared.contact if own else None}),
            transitions=[
                answers.Event(
                    at=event.at,
                    source=event.source,
                    target=event.target,
                    actor=event.actor if own else None,
                    note=event.note if admin(identity) else without_paths(event.note),
                )
                for event in events
            ],
        )

    def withdraw(self, request: Request, id: Id) -> answers.Submission:
        """Takes a submission back; its owner and admins may."""
        identity = one_of(request, ("submitter", "admin"))
        if not self._found(id, identity)[1]:
            raise Coded(403, "role", "This submission is somebody else's: its owner can withdraw it.")
        return self._done(identity, id, self._desk.withdraw)

    def requeue(self, request: Request, id: Id) -> answers.Submission:
        """Has a submission scored anew; admins may."""
        return self._done(one_of(request, ("admin",)), id, self._desk.requeue)

    def hide(self, request: Request, id: Id) -> answers.Submission:
        """Shows a submission to its owner and admins alone; admins may."""
        return self._done(one_of(request, ("admin",)), id, partial(self._desk.hide, hidden=True))

    def unhide(self, request: Request, id: Id) -> answers.Submission:
        """Shows a hidden submission again; admins may."""
        return self._done(one_of(request, ("admin",)), id, partial(self._desk.hide, hidden=False))

    def requeue_stale(self, request: Request) -> answers.Submissions:
        """Has what is missing or of older versions scored, of all that is published; admins may."""
        identity = one_of(request, ("admin",))
        with refusing():
            found = self._desk.requeue_stale(identity.name)
            return self._listed(found, identity)

    def _done(
        self, identity: Identity, submission: str, act: Callable[[str, str], Entry]
    ) -> answers.Submission:
        with refusing():
            entry = act(submission, identity.name)
            return self._shown(entry, identity, self._desk.queue.place(entry.id))

    def _found(self, submission: str, identity: Identity | None) -> tuple[Entry, bool]:
        """A submission that may be seen, and whether it is of who asks, or an admin asks."""
        with refusing():
            entry = self._desk.queue.get(submission)
            if not sees(identity, entry):
                raise Unknown(f"there is no submission {submission!r}")
        return entry, owns(identity, entry)

    def _listed(self, entries: Sequence[Entry], identity: Identity | None) -> answers.Submissions:
        places = self._desk.queue.places()
        return answers.Submissions(
            submissions=[self._shown(entry, identity, places.get(entry.id)) for entry in entries]
        )

    def _shown(self, entry: Entry, identity: Identity | None, place: int | None) -> answers.Submission:
        return answers.Submission(
            **{name: getattr(entry, name) for name in _SHOWN},
            architecture=entry.declared.architecture,
            place=place if entry.state == "queued" else None,  # it may have changed since it was read
            message=entry.message if admin(identity) else without_paths(entry.message),
            identity=entry.identity if owns(identity, entry) else None,
        )


#: Fields that are an entry's own.
_SHOWN = tuple(
    name
    for name in answers.Submission.model_fields
    if name not in ("architecture", "place", "message", "identity")
)
_PAGE = tuple(
    name
    for name in answers.SubmissionPage.model_fields
    if name not in answers.Submission.model_fields and name not in ("declaration", "transitions")
)


def routes(desk: Desk, folder: Callable[[], Folder]) -> APIRouter:
    """The routes on submissions.

    Args:
        folder: gives a new private folder for an upload.
    """
    of, router = Submitting(desk, folder), APIRouter(prefix=SUBMISSIONS, dependencies=[BEARER])
    router.add_api_route(
        "",
        of.submit,
        methods=["POST"],
        status_code=201,
        openapi_extra=_FORM,
        responses=refusals(400, 401, 403, 408, 409, 413, 422, 429, 503),
    )
    router.add_api_route("", of.submissions, methods=["GET"], responses=refusals(401, 422, 429, 503))
    router.add_api_route("/{id}", of.submission, methods=["GET"], responses=refusals(401, 404, 422, 429, 503))
    for path, act in (
        ("/requeue-stale", of.requeue_stale),
        ("/{id}/withdraw", of.withdraw),
        ("/{id}/requeue", of.requeue),
        ("/{id}/hide", of.hide),
        ("/{id}/unhide", of.unhide),
    ):
        router.add_api_route(
            path, act, methods=["POST"], responses=refusals(400, 401, 403, 404, 408, 409, 413, 422, 429, 503)
        )
    return router


def page(submission: str) -> str:
    """The app's page of a submission, from the app's root."""
    return f"?tab=submit&submission={submission}"


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Refusals that an OpenAPI tells of."""
    return {status: {"model": answers.CodedRefusal} for status in statuses}


def most_bytes(desk: Desk, form: int, path: str) -> int:
    """Of a body: the most that a file may have, and the form around it."""
    try:
        return desk.terms().limits.most_bytes + form
    except InputError:
        return Limits().most_bytes + form  # the route says what is wrong


@contextmanager
def refusing(status: int = 409, code: str = "state") -> Iterator[None]:
    """What the desk refuses becomes an answer.

    Args:
        status, code: of what it raises without a code; with 503 it is the server's own fault, which who runs
            it is told.
    """
    try:
        yield
    except Trouble:
        raise  # `app.api_refusals.away` answers it, wherever it comes from
    except Unknown as error:
        raise Coded(404, "unknown", _said(error)) from None
    except LeaseLost as error:
        raise Coded(410, "lease-lost", _said(error)) from None
    except Refused as error:
        raise Coded(_STATUS.get(error.code, 422), error.code, _said(error)) from None
    except (InputError, OSError) as error:
        if status != 503 and isinstance(error, InputError):
            raise Coded(status, code, _said(error)) from None
        log.warning("%s", error)
        raise Coded(503, "", AWAY) from None


def _said(error: InputError) -> str:
    """A sentence; a field's or a file's name in front of it stays as it is."""
    name, colon, _ = str(error).partition(": ")
    return f"{line(error)}." if colon and " " not in name else sentence(error)


def _copied(file: UploadFile, path: Folder) -> Folder:
    """A whole file, under a name that is ours."""
    with path.open("xb") as copy:
        shutil.copyfileobj(file.file, copy)
    return path
