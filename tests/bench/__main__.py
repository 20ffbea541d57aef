"""Prints every ratio: median seconds of the other way, of ours, and how many times faster ours is.

python -m tests.bench [build] [metrics] [sam] [finetune] [attributes] [board] [demo] [duplicates]
"""

import argparse
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from cosmos1050k import pictures
from tests.bench import attributes, board, build, demo, duplicates, finetune, metrics, sam
from tests.bench.generated import MASKS, SOURCES
from tests.bench.timing import ratio

WORDS = build.objects_by_words, build.regions_by_words
NUMPY = build.objects_by_numpy, build.regions_by_numpy
#: So many that what a process needs to start, about a second, hardly counts.
CASES = 96


def main() -> None:
    parts = {
        "build": _build,
        "metrics": _metrics,
        "sam": _sam,
        "finetune": _finetune,
        "attributes": _attributes,
        "board": _board,
        "demo": _demo,
        "duplicates": _duplicates,
    }
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Prints ratios.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(parts)}; by default all")
    asked = parser.parse_args().parts
    if unknown := sorted(set(asked) - parts.keys()):
        parser.error(f"unknown part {unknown[0]!r}; known are {', '.join(parts)}")
    cv2.setNumThreads(1)  # one thread against one thread
    print(f"load before: {', '.join(f'{mean:.1f}' for mean in os.getloadavg())} on {os.cpu_count()} cores")
    print(f"{'what':<62} {'other':>10} {'ours':>10} {'ratio':>8}  wanted")
    for name, part in parts.items():
        if name in asked or not asked:
            part()


def _build() -> None:
    with tempfile.TemporaryDirectory() as folder:
        _volume_to_rows(Path(folder))


def _metrics() -> None:
    for size, rounds, wanted in ((256, 5, 8), (512, 5, None), (1024, 5, 20), (3000, 2, 40)):
        made = metrics.pairs(size)
        times = ratio(partial(metrics.obvious, made), partial(metrics.ours, made), rounds)
        _line(f"4 metrics of {len(made)} pairs of masks, {size}×{size} (medpy)", *times, wanted)
    found = metrics.everything(1024, 200, 30)
    times = ratio(partial(metrics.matched_by_numpy, *found), partial(metrics.matched, *found), 1)
    _line("DICE of 200 masks with 30 objects, 1024×1024 (numpy)", *times)


def _volume_to_rows(folder: Path) -> None:
    sample, ct = build.sample(), build.ct(folder / "ct", (512, 512, 24))
    for name, work, way, rounds in (
        ("the sample, all by the protocol's words", sample.some(60, 62), WORDS, 1),
        ("CT 512×512, all by the protocol's words", ct.some(11, 13), WORDS, 1),
        ("the sample, objects and regions by numpy", sample, NUMPY, 2),
        ("CT 512×512, objects and regions by numpy", ct, NUMPY, 2),
    ):
        assert work.count == work.obvious(*way)
        times = ratio(partial(work.obvious, *way), work.ours, rounds)
        _line(f"{work.count} rows of {name}", *times, wanted=6)
    for name, work in (("the sample", sample), ("CT 512×512", ct)):
        rows = [row for table in work.ours() for row in table.to_pylist()]
        encoded = [pictures.decode(row[column]["bytes"]) for row in rows for column in ("image", "mask")]
        times = ratio(partial(work.least, encoded), work.ours, 7)
        _line(f"{len(rows)} rows of {name}: gunzip and PNG alone", *times, wanted=0.5)
    cube = 256, 256, 256
    transverse = build.ct(folder / "cube", cube)
    for view in ("sagittal", "coronal"):
        other = build.ct(folder / "cube", cube, view=view)
        one, two, times = ratio(transverse.ours, other.ours, 3)
        share = other.count / transverse.count  # all slices are 256×256, but not all are kept
        _line(
            f"{other.count} of 256 {view} slices: transverse, per row", one * share, two, times * share, 0.5
        )
    found = build.release(folder / "raw", ct, CASES)
    seconds = ratio(
        lambda: build.built(folder / "raw", found, 1),
        lambda: build.built(folder / "raw", found, 2),
        2,
        time.perf_counter,
    )
    _line(f"{CASES} cases of CT built: one process against two", *seconds, wanted=1.7)


def _sam() -> None:
    cv2.setNumThreads(sam.THREADS)
    torch.set_num_threads(sam.THREADS)
    print(f"SAM ViT-B with random weights, float32, {sam.THREADS} threads; a round each after the encoder's")
    _line("encoder, one image (segment-anything)", *sam.encoder(3), wanted=1.25)
    for height, width, objects, wanted in (
        (512, 512, sam.OBJECTS, 1.5),
        (1024, 1024, sam.OBJECTS, 3),
        (2000, 3000, 6, 4),
    ):
        measured = "" if objects == sam.OBJECTS else f" from {objects}"
        what = f"S2–S6 of {sam.OBJECTS} objects{measured}, {width}×{height} (its predictor, medpy)"
        _once(what, *sam.prompted(height, width, objects), wanted)
    alone, whole = sam.network_alone(1024, 1024)
    what = f"S2–S6 of {sam.OBJECTS} objects, 1024×1024: all but the network, by it"
    _bound(what, f"{whole - alone:.3f} s of {whole:.3f} s", (whole - alone) / alone, 0.15, ".1%")
    for height, width, batch, wanted in ((512, 512, 64, 1.0), (2000, 3000, 16, 1.5)):
        what = f"S1, 8×8 points, {batch} at a time, {width}×{height} (its generator)"
        _once(what, *sam.all_masks(height, width, 8, batch), wanted)
    _sam_memory()


def _finetune() -> None:
    torch.set_num_threads(sam.THREADS)
    with tempfile.TemporaryDirectory() as folder:
        anew, looped, ours = finetune.epochs(Path(folder))
    what = f"epoch of {finetune.IMAGES} images, {finetune.OBJECTS} boxes each, ViT-B"
    _once(f"{what}: encoded anew", anew, ours, 5)
    _once(f"{what}: an image's boxes at a time", looped, ours, 1)


def _attributes() -> None:
    made = attributes.rows(4)
    times = ratio(partial(attributes.obvious, made), partial(attributes.ours, made), 2)
    _line(f"attributes of {4 * attributes.OBJECTS} objects (whole masks, pyefd)", *times, 10)
    with tempfile.TemporaryDirectory() as folder:
        few, many = (attributes.written(Path(folder) / str(n), n) for n in (6_000, 20_000))
    took = f"{many.seconds / 20_000 * 1000:.2f} ms an object"
    all_hours = attributes.hours(many.seconds, 20_000)
    _bound("attributes of 6 M objects on two cores, from 20,000", took, all_hours, 3, ".2f", " h")
    memory = f"{few.memory:.2f} GB, {many.memory:.2f} GB"
    more = many.memory / few.memory
    _bound("attributes: peak of 20,000 objects, by 6,000's", memory, more, 1.1, ".2f", "×")


def _board() -> None:
    table, everyone = board.scores(4, 1000)
    work = (
        partial(board.draws_one_by_one, table, everyone, 5),
        partial(board.draws_at_once, table, everyone, 5),
    )
    _line("bootstrap, 20 draws of 1000 patients, 4 models, 125 pairs (pandas)", *ratio(*work, 1), 10)
    _bound("board of 20 models, 125 pairs, 8000 patients", "", board.statistics(20, 8000), 60, ".1f", " s")
    with tempfile.TemporaryDirectory() as folder:
        found = board.built(Path(folder), MASKS, SOURCES)
        what = f"board of {found.rows / 1e6:.1f} million scores"
        _bound(f"{what}, 2 models: built", f"{found.file:.2f} GB on disk", found.seconds, 240, ".1f", " s")
        _bound(f"{what}: peak memory", "", found.memory, 6, ".2f", " GB")
        print(f"{what}: copied and published in {found.publishing:.1f} s")
        for name, (cold, warm) in board.looked_at(Path(folder)).items():
            below = 500 if name.startswith("drill-down") else 100
            for kind, value in (("cold", cold), ("warm", warm)):
                _bound(f"{name}, {kind}", "", value, below, ".1f", " ms")


def _demo() -> None:
    cv2.setNumThreads(sam.THREADS)
    torch.set_num_threads(sam.THREADS)
    for side in (256, 512, 1024):
        found = demo.clicks(side, 40)
        times = statistics.median(one / other for one, other in zip(found.obvious, found.ours, strict=True))
        obvious, ours = (statistics.median(way) / 1000 for way in (found.obvious, found.ours))
        _line(f"click, sam_nano, {side}×{side} (its predictor, set_image each time)", obvious, ours, times)
        for what, way in (("a click", found.ours), ("a later round", found.later)):
            p95 = float(np.quantile(way, 0.95))
            measured = f"median {statistics.median(way):.1f} ms"
            _bound(f"{what}, sam_nano, {side}×{side}: p95", measured, p95, 60, ".1f", " ms")


def _duplicates() -> None:
    found = duplicates.whole(50_000, 1)
    what = "twins of 50,000 pictures, hashed already"
    _bound(f"{what}: one core", f"{found.pairs} pairs of cases", found.own, 30, ".1f", " s")
    _bound(f"{what}: peak memory", "", found.memory, 4, ".2f", " GB")
    _bound(f"{what}: not found", f"of {found.planted}", found.planted - found.twins, 10, ".0f")


def _sam_memory() -> None:
    gigabyte = 2**30
    most = sam.most_memory("everything", "network", 32, 2000, 3000)
    _bound("S1, 32×32 points, 3000×2000: peak memory", "", most / gigabyte, 6, ".2f", " GB")
    most = sam.most_memory("everything", "small", 256, 512, 512)
    _bound("S1, 256×256 points, 512×512, small network: peak memory", "", most / gigabyte, 6, ".2f", " GB")
    few, many = (sam.most_memory("score", "small", count, 1024, 1024) for count in (4, 24))
    what = "S2–S6 of 24 pictures, 1024×1024, small network: peak, by 4's"
    _bound(what, f"{few / gigabyte:.2f} GB, {many / gigabyte:.2f} GB", many / few, 1.1, ".2f", "×")


def _once(what: str, other: float, ours: float, wanted: float) -> None:
    _line(what, other, ours, other / ours, wanted)


def _bound(what: str, measured: str, value: float, below: float, form: str, unit: str = "") -> None:
    missed = "" if value < below else ", MISSED"
    print(f"{what:<62} {measured:>23} {value:>8{form}}{unit}  < {below:{form}}{unit}{missed}", flush=True)


def _line(what: str, other: float, ours: float, times: float, wanted: float | None = None) -> None:
    asked = "" if wanted is None else f"  ≥ {wanted}{'' if times >= wanted else ', MISSED'}"
    print(f"{what:<62} {other:>8.3f} s {ours:>8.3f} s {times:>7.2f}×{asked}", flush=True)


if __name__ == "__main__":
    main()
