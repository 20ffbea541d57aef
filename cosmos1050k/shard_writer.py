"""Writes a built source: cases into shards of one modality and split, their table, the manifest."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cosmos1050k import taxonomy
from cosmos1050k.schema import SCHEMA, SMALL_AREA, SPLITS
from cosmos1050k.shards import CASES, CASES_SCHEMA, Count, Excluded, Manifest, Shard, Skipped
from cosmos1050k.units import MANIFEST

#: Columns worth statistics: those a reader filters by. Over PNG bytes they would only fill the footer.
_FILTERED = ["source", "patient", "case", "slice_index", "modality", "split"]


@dataclass(frozen=True)
class BuiltCase:
    """A case whose rows are ready in a Parquet file of its own (`path`)."""

    case: str
    patient: str
    modality: str
    split: str
    digest: str
    rows: int
    path: Path


def write_rows(path: Path, table: pa.Table, *, row_group_rows: int) -> None:
    """Rows to Parquet. PNG gains nothing from a second compression or a dictionary."""
    pq.write_table(
        table,
        path,
        row_group_size=row_group_rows,
        compression="none",
        use_dictionary=False,
        write_statistics=_FILTERED,
    )


def write_source(
    folder: Path,
    source: str,
    built: Sequence[BuiltCase],
    skipped: Iterable[Skipped],
    *,
    row_group_rows: int,
    shard_bytes: int,
    phantom: bool = False,
    excluded: Iterable[Excluded] = (),
) -> Manifest:
    """Writes the folder of one source; the same cases give the same bytes.

    Args:
        built: in the source's order; those without rows are only counted.
        shard_bytes: a shard is closed by the case that reaches this size.
        phantom: the raw files are synthetic.
        excluded: what was left out, for the manifest.
    """
    cases = [case for case in built if case.rows]
    tally = _Tally()
    shards, entries = [], []
    for name, members in _plan(cases, shard_bytes):
        table = pa.concat_tables([_rows(case) for case in members])
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rows(path, table, row_group_rows=row_group_rows)
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        shards.append(Shard(file=name, rows=table.num_rows, bytes=path.stat().st_size, sha256=sha256))
        first = 0
        for case in members:
            rows = table.slice(first, case.rows)
            entries.append(_entry(source, name, first, case, tally.add(rows)))
            first += case.rows
    pq.write_table(pa.Table.from_pylist(entries, schema=CASES_SCHEMA), folder / CASES, compression="zstd")
    manifest = Manifest(
        source=source,
        phantom=phantom,
        version=hashlib.sha256("".join(case.digest for case in cases).encode()).hexdigest(),
        rows=sum(case.rows for case in cases),
        cases=len(cases),
        empty=len(built) - len(cases),
        patients=len({case.patient for case in cases}),
        splits={split: sum(c.rows for c in cases if c.split == split) for split in SPLITS},
        modalities=tally.modalities(cases),
        objects=tally.counts("object"),
        pairs=tally.counts("pair"),
        shards=tuple(shards),
        skipped=tuple(skipped),
        excluded=tuple(excluded),
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n")
    return manifest


def _rows(case: BuiltCase) -> pa.Table:
    with pq.ParquetFile(case.path) as file:  # read_table would import pandas
        return file.read().cast(SCHEMA)


def _plan(cases: Sequence[BuiltCase], shard_bytes: int) -> Iterator[tuple[str, list[BuiltCase]]]:
    """File name → its cases. A case lies whole in one shard."""

    def place(case: BuiltCase) -> tuple[str, int]:
        return case.modality, SPLITS.index(case.split)

    for (modality, split), group in groupby(sorted(cases, key=place), key=place):
        parts: list[list[BuiltCase]] = [[]]
        size = 0
        for case in group:
            if size >= shard_bytes:
                parts.append([])
                size = 0
            parts[-1].append(case)
            size += case.path.stat().st_size
        for number, members in enumerate(parts):
            file = f"{SPLITS[split]}-{number:05d}-of-{len(parts):05d}.parquet"
            yield f"{taxonomy.slug(modality)}/{file}", members


def _entry(source: str, shard: str, first_row: int, case: BuiltCase, scored: Counter[str]) -> dict[str, Any]:
    return {
        "source": source,
        "case": case.case,
        "modality": case.modality,
        "patient": case.patient,
        "split": case.split,
        "shard": shard,
        "first_row": first_row,
        "rows": case.rows,
        "digest": case.digest,
        "pairs": [{"pair": pair, "images": images} for pair, images in sorted(scored.items())],
    }


class _Tally:
    """Counts images and instances per object and pair while the rows pass by."""

    def __init__(self) -> None:
        self.images: dict[str, Counter[str]] = {"object": Counter(), "pair": Counter()}
        self.instances: dict[str, Counter[str]] = {"object": Counter(), "pair": Counter()}

    def add(self, rows: pa.Table) -> Counter[str]:
        """Counts the rows of a case; returns pair → images with an instance of it large enough to score."""
        scored: Counter[str] = Counter()
        for objects in rows["objects"].to_pylist():
            for kind in ("object", "pair"):
                names = [entry[kind] for entry in objects]
                self.instances[kind].update(names)
                self.images[kind].update(set(names))
            scored.update({entry["pair"] for entry in objects if entry["area"] > SMALL_AREA})
        return scored

    def counts(self, kind: str) -> dict[str, Count]:
        return {
            name: Count(images=images, instances=self.instances[kind][name])
            for name, images in sorted(self.images[kind].items())
        }

    @staticmethod
    def modalities(cases: Sequence[BuiltCase]) -> dict[str, int]:
        rows: Counter[str] = Counter()
        for case in cases:
            rows[case.modality] += case.rows
        return dict(sorted(rows.items()))
