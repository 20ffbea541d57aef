"""`/work`: what a worker asks for, tells and hands in. Who knows a lease may, with a worker's token."""

import os
import secrets
from pathlib import Path as Folder
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import FileResponse

from app import api_submission_models as answers
from app.api_identity import BEARER, one_of
from app.api_refusals import WORK
from app.api_submissions import refusals, refusing
from leaderboard.submissions.desk import Desk
from leaderboard.submissions.order import Beat, Claim, Granted, Report

#: Bytes of scores on a source, of a manifest, of what else a worker says.
_SCORES, _MANIFEST, _SAID = 1_000_000_000, 20_000_000, 1_000_000
#: Bytes that are written at once.
_PIECE = 1_000_000

Lease = Annotated[str, Path(max_length=100, description="Of the claim: a secret")]
Source = Annotated[str, Path(max_length=100, description="Slug of a source of the order")]


class Working:
    """The routes' answers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def claim(self, claim: Claim) -> Granted | Response:
        """Gives the next submission to score, if one waits."""
        with refusing(503):
            self._desk.terms()
        with refusing(409, "versions"):
            return self._desk.claim(claim) or Response(status_code=204)

    def weights(self, lease: Lease) -> FileResponse:
        """The safetensors file of the submission; a part of it by `Range`."""
        with refusing(503):
            path = self._desk.weights(lease)
            return FileResponse(path, media_type="application/octet-stream", stat_result=path.stat())

    def heartbeat(self, lease: Lease, beat: Beat) -> answers.Expires:
        """Says that the worker lives, and how far it is."""
        with refusing(503):
            return answers.Expires(expires=self._desk.beat(lease, beat))

    async def scores(self, request: Request, lease: Lease, source: Source) -> Response:
        """Takes the scores on a source, a Parquet file; one that was handed in before is replaced."""
        with refusing(422, "form"):
            target = await to_thread.run_sync(self._desk.staging, lease, source)
            part = target.with_name(f".{secrets.token_hex(8)}.part")
            try:
                await _written(request, part)
                # The lease may have ended meanwhile: then the folder is another's, or gone.
                await to_thread.run_sync(self._desk.staging, lease, source)
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
        return Response(status_code=204)

    async def finish(self, request: Request, lease: Lease) -> answers.Ended:
        """Takes the manifest of the scores, a JSON file, and with it all of them."""
        manifest = await request.body()
        return await to_thread.run_sync(self._finished, lease, manifest)

    def _finished(self, lease: str, manifest: bytes) -> answers.Ended:
        with refusing(422, "form"):
            return answers.Ended(state=self._desk.hand_in(lease, manifest).state)

    def report(self, lease: Lease, report: Report) -> answers.Ended:
        """Says why there are no scores."""
        with refusing(503):
            return answers.Ended(state=self._desk.report(lease, report).state)


def routes(desk: Desk) -> APIRouter:
    """The routes of workers."""
    of, router = Working(desk), APIRouter(prefix=WORK, dependencies=[BEARER, Depends(_worker)])
    common = (400, 401, 403, 404, 408, 413, 422, 429, 503)
    router.add_api_route(
        "/claim",
        of.claim,
        methods=["POST"],
        response_model=Granted,
        responses=refusals(409, *common) | {204: {"description": "Nothing waits"}},
    )
    router.add_api_route(
        "/{lease}/weights",
        of.weights,
        methods=["GET"],
        response_class=FileResponse,
        responses=refusals(401, 403, 404, 410, 422, 429, 503)
        | {206: {"description": "A part"}, 416: {"description": "No such part"}},
    )
    for method, path, act, status in (
        ("POST", "/{lease}/heartbeat", of.heartbeat, 200),
        ("PUT", "/{lease}/scores/{source}", of.scores, 204),
        ("POST", "/{lease}/finish", of.finish, 200),
        ("POST", "/{lease}/report", of.report, 200),
    ):
        router.add_api_route(
            path, act, methods=[method], status_code=status, responses=refusals(410, *common)
        )
    return router


async def _worker(request: Request) -> None:
    one_of(request, ("worker",))


async def _written(request: Request, part: Folder) -> None:
    """Writes a request's body to a new file, as it comes; it is on the disk when this returns."""
    with part.open("xb") as file:
        held = bytearray()
        async for piece in request.stream():
            held += piece
            if len(held) >= _PIECE:
                await to_thread.run_sync(file.write, bytes(held))
                held.clear()
        file.write(held)
        file.flush()
        await to_thread.run_sync(os.fsync, file.fileno())


def most_bytes(path: str) -> int:
    """Of a body, by its path below the API."""
    if "/scores/" in path:
        return _SCORES
    return _MANIFEST if path.endswith("/finish") else _SAID
