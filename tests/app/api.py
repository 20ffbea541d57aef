"""The API in this process, and pictures to send it."""

from pathlib import Path

import cv2
import numpy as np
from fastapi import FastAPI

from app.api import PREFIX, build_api
from app.options import Options
from leaderboard.demo.engine import Engine
from leaderboard.store.read import BoardReader


def served(state: Path, folder: Path, most_bytes: int = 2_000_000) -> FastAPI:
    """The API where the server mounts it, without Gradio."""
    given = Options(state=state, max_upload_bytes=most_bytes)

    def private() -> Path:
        made = folder / "private"
        made.mkdir(parents=True)  # one at a time, and gone before the next
        return made

    server = FastAPI(openapi_url=None)
    server.mount(PREFIX, build_api(BoardReader(state), Engine(), given, private))
    return server


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()
