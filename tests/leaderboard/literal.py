"""The protocol's rules in slow, literal form: what the fast code is held against."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

CaseKey = tuple[str, str, str]


def slow_board(cases: Iterable[Mapping[str, Any]], images: int) -> dict[str, list[CaseKey]]:
    """Section 5: "per pair, whole cases of the test split in keyed-hash order (hash of patient, then case;
    all sources of the pair together) until at least `images` images of the pair are reached, the last case
    counting whole".
    """
    tests = [case for case in cases if case["split"] == "test"]
    board = {}
    for pair in sorted({entry["pair"] for case in tests for entry in case["pairs"]}):
        reached, chosen = 0, []
        for case in sorted((case for case in tests if _images(case, pair)), key=_place):
            if reached >= images:
                break
            chosen.append((case["source"], case["case"], case["modality"]))
            reached += _images(case, pair)
        board[pair] = chosen
    return board


def _images(case: Mapping[str, Any], pair: str) -> int:
    return sum(entry["images"] for entry in case["pairs"] if entry["pair"] == pair)


def _place(case: Mapping[str, Any]) -> tuple[bytes, bytes, str]:
    patient = f"{case['source']}/{case['patient']}"
    return _hash(patient), _hash(f"{patient}/{case['case']}"), case["modality"]


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), key=b"cosmos1050k/board", digest_size=8).digest()
