"""The API against the SQL of the board's file and the engine itself, and what it refuses."""

import asyncio
import base64
import io
import json
import zlib
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import duckdb
import nibabel as nib
import numpy as np
import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient
from starlette.types import Message, Receive

from app.api import NO_BOARD, PREFIX
from app.api_gate import Gate
from app.api_prompt import base_name
from leaderboard.demo.engine import Engine
from leaderboard.demo.prompting import Picture, Prompt
from leaderboard.store.publish import publish
from tests.app.api import png, served
from tests.app.boards import HOSTILE, HOSTILE_OBJECT, Made

MODEL = "grabcut"
POINTS, BOX = [[20, 18, 1], [2, 2, 0]], [8, 6, 31, 29]


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def server(sample_state: Path, uploads: Path) -> FastAPI:
    return served(sample_state, uploads)


@pytest.fixture(scope="module")
def client(server: FastAPI) -> Iterator[TestClient]:
    with TestClient(server, base_url=f"http://test{PREFIX}/", raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A bright square on a noisy ground."""
    pixels = np.random.default_rng(5).integers(0, 60, (40, 50), np.uint8)
    pixels[8:28, 10:30] += 150
    return pixels


def asked(client: TestClient, name: str, content: bytes, **fields: Any) -> Any:
    """`POST /prompt` with a box, unless fields say otherwise."""
    given = {"model": MODEL, "box": json.dumps(BOX), **fields}
    return client.post("prompt", files={"image": (name, content)}, data=given)


def refused(answer: Any, status: int) -> str:
    """The one sentence of a refusal."""
    assert answer.status_code == status, answer.text
    (text,) = answer.json().values()
    assert text.endswith(".")
    assert "\n" not in text
    assert "Traceback" not in text
    return text


def query(board: Made, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(board.path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


# The board


def test_the_board_is_what_its_file_holds(client: TestClient, sample: Made) -> None:
    for selection in ("oracle", "predicted_iou"):
        asking = {"strategy": "S6", "selection": selection, "kind": "baseline"}
        found = client.get("board", params=asking).json()
        columns = ("dice", "low", "high", "rank")
        rows = [(row["model"], *(row["cell"][key] for key in columns)) for row in found["rows"]]
        assert rows == query(
            sample,
            f"""select model, headline, low, high, rank from group_scores
            where grouped = 'all' and strategy = 'S6' and selection = '{selection}'
            order by rank, headline desc""",
        )
    facts = found["board"]
    columns = ("build_id", "dataset_version", "protocol_version", "images", "pairs", "patients")
    assert (
        tuple(facts[name] for name in columns) == query(sample, f"select {', '.join(columns)} from boards")[0]
    )
    assert facts["notices"][0] == "For research. Not a medical device."
    assert any("This is the sample, not COSMOS 1050K" in text for text in facts["notices"])
    assert found["note"] == ""
    assert found["ranked"] is True


def test_the_board_takes_the_tabs_filters(client: TestClient, sample: Made) -> None:
    found = client.get("board", params={"pair": "Liver-CT", "kind": ["baseline", "official"]}).json()
    ((dice, distance, empties),) = query(
        sample,
        """select dice, hausdorff, empties from pair_scores
        where pair = 'Liver-CT' and model = 'box' and strategy = 'S5' and selection = 'oracle'""",
    )
    row = next(row for row in found["rows"] if row["model"] == "box")
    assert (row["cell"]["dice"], row["hausdorff"], row["empties"]) == (dice, distance, empties)
    assert row["cells"]["S2"] == {
        "dice": None,
        "low": None,
        "high": None,
        "rank": None,
        "reason": "needs a box",
        "missing": "",
        "greyed": False,
        "doubtful": False,
    }
    assert found["pairs"] == 1
    names = [row["model"] for row in client.get("board", params={"search": "GRAB"}).json()["rows"]]
    assert names == ["grabcut"]
    assert client.get("board", params={"kind": "submitted"}).json()["rows"] == []


def test_models_and_pairs_are_what_the_file_holds(client: TestClient, sample: Made) -> None:
    models = client.get("models").json()["models"]
    assert [(row["name"], row["kind"], row["description"]) for row in models] == query(
        sample, 'select name, kind, description from models order by "order"'
    )
    assert HOSTILE in [row["description"] for row in models]
    found = client.get("models/box").json()
    assert found["declaration"] == next(row for row in models if row["name"] == "box")
    assert found["not_applicable"] == dict.fromkeys(("S1", "S2", "S3", "S4"), "needs a box")
    columns = ("pair", "strategy", "selection", "dice", "hausdorff", "images")
    stored = f"select {', '.join(columns)} from pair_scores where model = 'box' order by all"
    assert sorted(tuple(row[name] for name in columns) for row in found["scores"]) == query(sample, stored)
    assert [(row["source"], row["source_version"]) for row in found["runs"]] == query(
        sample, "select source, source_version from runs where model = 'box'"
    )
    pairs = client.get("pairs").json()["pairs"]
    stored = "select pair, images, patients, objects from pairs order by pair"
    assert [tuple(row[name] for name in ("pair", "images", "patients", "objects")) for row in pairs] == query(
        sample, stored
    )


def test_a_hostile_pair_has_an_address(client: TestClient, sample: Made) -> None:
    name = f"{HOSTILE_OBJECT}-CT"
    found = client.get(f"pairs/{name.replace('/', '%2F')}").json()
    assert found == client.get(f"pairs/{name}").json()
    assert found["pair"]["pair"] == name
    assert found["sources"] == [{"source": "sample", "objects": 6, "images": 6, "patients": 2}]
    stored = f"select model, strategy, selection, dice from pair_scores where pair = '{name}' order by all"
    columns = ("model", "strategy", "selection", "dice")
    assert sorted(tuple(row[key] for key in columns) for row in found["scores"]) == query(sample, stored)


def test_what_is_unknown_is_refused_in_a_sentence(client: TestClient) -> None:
    for params in (
        {"strategy": "S7"},
        {"strategy": "S3"},
        {"modality": "'; drop table boards; --"},
        {"pair": "\x00"},
        {"kind": ["baseline", HOSTILE]},
        {"contact": "9" * 5000},
        {"search": "a" * 201},
        {"colour": "red"},
    ):
        assert refused(client.get("board", params=params), 422)
    assert "no model '<b>'" in refused(client.get("models/<b>"), 404)
    assert refused(client.get("pairs/none/such"), 404)
    assert refused(client.get("nothing"), 404)
    assert refused(client.delete("models"), 405)


def test_it_follows_the_published_board(larger: Made, sample: Made, tmp_path: Path) -> None:
    with TestClient(served(tmp_path, tmp_path / "own"), base_url=f"http://test{PREFIX}/") as client:
        for path in ("board", "models", "models/box", "pairs", "pairs/Liver-CT"):
            assert refused(client.get(path), 503) == NO_BOARD
        for made in (sample, larger):
            publish(made.path, tmp_path)
            assert client.get("board").json()["board"]["build_id"] == made.build_id


# Prompts


def test_a_prompt_is_answered_as_the_engine_does(
    client: TestClient, picture: np.ndarray, uploads: Path
) -> None:
    found = asked(client, "scan.png", png(picture), points=json.dumps(POINTS)).json()
    prompt = Prompt(tuple((x, y, label == 1) for x, y, label in POINTS), tuple(BOX))
    wanted = Engine().ask(MODEL, Picture(picture), prompt)
    assert (found["width"], found["height"], found["slices"]) == (50, 40, 1)
    assert found["best"] == wanted.best
    assert found["notice"] == "For research. Not a medical device."
    assert len(found["candidates"]) == len(wanted.masks)
    for candidate, mask, rating in zip(found["candidates"], wanted.masks, wanted.predicted_iou, strict=True):
        read = np.array(Image.open(io.BytesIO(base64.b64decode(candidate["png"]))))
        assert np.array_equal(read, mask * 255)
        assert mask.any()
        assert candidate["area"] == np.count_nonzero(mask)
        assert candidate["predicted_iou"] == pytest.approx(float(rating))
        drawn = np.zeros(mask.shape, np.uint8)
        cv2.fillPoly(drawn, [np.array(line, np.int32) for line in candidate["outlines"]], 1)
        assert np.array_equal(drawn, mask)
    assert list(uploads.iterdir()) == []


def test_a_slice_of_a_volume_is_asked_by_plane_and_place(client: TestClient, tmp_path: Path) -> None:
    """RAS voxels: what is bright at i is shown mirrored in a transverse slice (radiological)."""
    voxels = np.random.default_rng(6).integers(0, 50, (40, 30, 6)).astype(np.int16)
    voxels[4:14, 5:20, 2] += 400
    nib.save(nib.Nifti1Image(voxels, np.diag([1.0, 2.0, 3.0, 1.0])), tmp_path / "ct.nii.gz")
    content = (tmp_path / "ct.nii.gz").read_bytes()
    box = json.dumps([24, 8, 37, 26])
    found = asked(client, "any name", content, box=box, plane="transverse", slice="2").json()
    assert (found["plane"], found["slice"], found["slices"]) == ("transverse", 2, 6)
    assert (found["width"], found["height"]) == (40, 30)
    assert found["spacing_mm"] == [2.0, 1.0]
    mask = np.array(Image.open(io.BytesIO(base64.b64decode(found["candidates"][0]["png"])))) > 0
    truth = np.zeros((30, 40), bool)
    truth[10:25, 26:36] = True
    assert np.array_equal(mask, truth)
    assert "6 slices" in refused(asked(client, "ct", content, box=box), 422)
    assert "from 0 to 5" in refused(asked(client, "ct", content, box=box, slice="6"), 422)
    assert "from 0 to 5" in refused(asked(client, "ct", content, box=box, slice="-1"), 422)
    assert "'oblique'" in refused(asked(client, "ct", content, box=box, slice="2", plane="oblique"), 422)
    assert "'lung'" in refused(asked(client, "ct", content, box=box, slice="2", window="lung"), 422)


def test_two_files_may_belong_together(client: TestClient, picture: np.ndarray) -> None:
    header = (
        "ObjectType = Image\nNDims = 2\nDimSize = 50 40\nElementType = MET_UCHAR\n"
        "ElementSpacing = 1 1\nElementDataFile = scan.raw\n"
    )
    files = [("image", ("scan.mhd", header.encode())), ("image", ("scan.raw", picture.tobytes()))]
    found = client.post("prompt", files=files, data={"model": MODEL, "box": json.dumps(BOX)})
    wanted = Engine().ask(MODEL, Picture(picture), Prompt(box=tuple(BOX)))
    assert found.status_code == 200, found.text
    assert [one["area"] for one in found.json()["candidates"]] == [int(mask.sum()) for mask in wanted.masks]


def bomb() -> bytes:
    """A PNG of 10,000 × 10,000 pixels in 100 kB."""
    head = b"IHDR" + (10_000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    data = b"IDAT" + zlib.compress(bytes(10_001 * 10_000), 9)
    chunks = (head, data, b"IEND")
    packed = (
        (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") for chunk in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def test_a_bad_file_is_refused_and_leaves_nothing(
    client: TestClient, picture: np.ndarray, uploads: Path
) -> None:
    whole = png(picture)
    for name, content, word in (
        ("cut.png", whole[: len(whole) // 2], "cut.png: "),
        ("empty.png", b"", "empty.png: empty"),
        ("bomb.png", bomb(), "bomb.png: 10000 × 10000 pixels"),
        ("page.html", b"<script>alert(1)</script>", "page.html: text"),
        ("../../" + HOSTILE, b"%PDF-1.7", ": a PDF document"),
    ):
        text = refused(asked(client, name, content), 415)
        assert word in text
        assert "/" not in text
        assert list(uploads.iterdir()) == []


def test_a_bad_prompt_is_refused(client: TestClient, picture: np.ndarray) -> None:
    content = png(picture)
    for word, fields in (
        ("points", {"points": "[[1, 2]]", "box": "[1, 2, 3, 4]"}),
        ("points", {"points": "[[1e999, 2, 1]]"}),
        ("outside", {"points": f"[[{10**40}, 2, 1]]"}),
        ("points", {"points": "[[1, 2, 7]]"}),
        ("points", {"points": "[[1.5, 2, 1]]"}),
        ("points", {"points": "nothing"}),
        ("points", {"points": json.dumps([[1, 1, 1]] * 101)}),
        ("outside of 50 × 40", {"box": "[1, 2, 50, 4]"}),
        ("outside", {"box": "[-1, 2, 5, 4]"}),
        ("box", {"box": '{"x": 1}'}),
        ("box", {"box": "[" * 5000}),
        ("slice", {"box": json.dumps(BOX), "slice": "two"}),
        ("slice", {"box": json.dumps(BOX), "slice": "1"}),
        ("point", {}),
    ):
        answer = client.post(
            "prompt", files={"image": ("scan.png", content)}, data={"model": MODEL, **fields}
        )
        assert word in refused(answer, 422)
    points = client.post(
        "prompt", files={"image": ("scan.png", content)}, data={"model": "box", "points": json.dumps(POINTS)}
    )
    assert "box" in refused(points, 422)
    assert "no model 'sam'" in refused(asked(client, "scan.png", content, model="sam"), 404)
    assert refused(client.post("prompt", data={"model": MODEL}), 422)
    assert refused(client.post("prompt", json={"model": MODEL}), 422)
    broken = {"content-type": "multipart/form-data"}
    assert refused(client.post("prompt", content=b"--x\r\nnonsense", headers=broken), 400)


async def posted(app: FastAPI, path: str, receive: Receive) -> tuple[int, dict[bytes, bytes], Any]:
    """Status, headers and JSON that the server gives for what it receives, message by message."""
    said: list[Any] = []

    async def send(message: Message) -> None:
        said.append(message)

    kind = (b"content-type", b"multipart/form-data; boundary=x")
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": [kind]}
    await app(scope, receive, send)
    return said[0]["status"], dict(said[0]["headers"]), json.loads(said[1]["body"])


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """In a thread of its own: Playwright leaves a loop running in that of the browser tests."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def test_too_large_is_refused_while_it_comes(sample_state: Path, tmp_path: Path, picture: np.ndarray) -> None:
    server, sent = served(sample_state, tmp_path, 10_000), 0
    with TestClient(server, base_url=f"http://test{PREFIX}/") as client:
        assert asked(client, "scan.png", png(picture)).status_code == 200
        assert "at most 1,010,000 bytes" in refused(asked(client, "scan.png", bytes(1_020_000)), 413)

    async def endless() -> Message:
        nonlocal sent
        head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        sent += 100_000
        return {"type": "http.request", "body": bytes(100_000) if sent > 100_000 else head, "more_body": True}

    status, _, answer = run(posted(server, f"{PREFIX}/prompt", endless))
    assert (status, "at most 1,010,000 bytes" in answer["detail"]) == (413, True)
    assert sent <= 1_200_000
    assert list(tmp_path.iterdir()) == []


def test_uploads_are_few_and_moving() -> None:
    """One that stands still ends; meanwhile another is refused, afterwards it is not."""
    api = FastAPI()
    api.add_middleware(Gate, most_bytes=10, at_once=1, idle_s=0.3)

    @api.post("/")
    async def length(request: Request) -> int:
        return len(await request.body())

    async def still() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    async def whole() -> Message:
        return {"type": "http.request", "body": b"abcde", "more_body": False}

    async def scenario() -> None:
        waiting = asyncio.create_task(posted(api, "/", still))
        await asyncio.sleep(0.05)
        status, headers, answer = await posted(api, "/", whole)
        assert (status, headers[b"retry-after"]) == (503, b"5")
        assert "busy" in answer["detail"]
        status, _, answer = await waiting
        assert status == 408
        assert answer["detail"].startswith("Nothing came for ")
        assert (await posted(api, "/", whole))[::2] == (200, 5)

    run(scenario())


@given(name=st.text(max_size=300))
def test_a_files_name_has_no_folder_and_fits(name: str) -> None:
    base = base_name(name)
    assert Path(base).name == base
    assert base not in ("", ".", "..")
    assert base.isprintable()
    assert len(base.encode()) <= 255
