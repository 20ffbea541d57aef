"""Renders the dataset card, `README.md`: a header for `load_dataset`, then `card.md` with its counts."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import yaml

from cosmos1050k import sources, taxonomy
from cosmos1050k.notices import notices
from cosmos1050k.schema import SPLITS, card_features
from cosmos1050k.shards import Manifest, dataset_version, load_manifest

CARD = Path(__file__).with_name("README.md")
PROSE = Path(__file__).with_name("card.md")
#: The configuration that `load_dataset("cosmos1050k")` takes.
ALL = "all"
#: The paper's sources, images, masks, modalities, objects and object–modality pairs.
PAPER = (53, 1_050_311, 6_033_198, 18, 84, 125)


def render(slugs: Sequence[str], data: Path) -> str:
    """The card of the built sources `slugs`, whose folders lie in `data`.

    Raises:
        InputError: one of them is not built.
    """
    manifests = [load_manifest(data / slug) for slug in slugs]
    prose = Template(PROSE.read_text()).substitute(
        notices=_notices(manifests),
        totals=_totals(manifests),
        sources=_sources(manifests),
        pairs=_pairs(manifests),
        licences=_licences(slugs),
        example_config=_configs(manifests)[-1]["config_name"],
        example_source=slugs[0],
        split_note="The sample's one head is cut into slabs with a split each." if "sample" in slugs else "",
    )
    header = yaml.safe_dump(_header(manifests), sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{header}---\n\n{prose}"


def _header(manifests: Sequence[Manifest]) -> dict[str, Any]:
    configs = _configs(manifests)
    return {
        "pretty_name": "COSMOS 1050K",
        "task_categories": ["image-segmentation", "mask-generation"],
        "tags": ["medical"],
        "license": "other",
        "configs": configs,
        "dataset_info": [
            {"config_name": config["config_name"], "features": card_features()} for config in configs
        ],
    }


def _configs(manifests: Sequence[Manifest]) -> list[dict[str, Any]]:
    """All rows, then one configuration per modality; each lists only the splits that have rows."""
    folders = [
        (manifest.source, taxonomy.slug(modality), shard.file)
        for manifest in manifests
        for modality in manifest.modalities
        for shard in manifest.shards
        if shard.file.startswith(f"{taxonomy.slug(modality)}/")
    ]

    def config(name: str, modality: str | None, **more: bool) -> dict[str, Any]:
        files = []
        for split in SPLITS:
            globs = sorted(
                {
                    f"data/{source}/{folder}/{split}-*.parquet"
                    for source, folder, file in folders
                    if modality in (None, folder) and file.startswith(f"{folder}/{split}-")
                }
            )
            if globs:
                files.append({"split": split, "path": globs})
        # `datasets` keeps a folder's rows under the sum of this header alone: it must change with them.
        return {"config_name": name, "description": f"dataset {version}", **more, "data_files": files}

    version = dataset_version({manifest.source: manifest.version for manifest in manifests})
    modalities = [taxonomy.slug(name) for name in taxonomy.MODALITIES]
    present = {folder for _, folder, _ in folders}
    return [
        config(ALL, None, default=True),
        *(config(folder, folder) for folder in modalities if folder in present),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _notices(manifests: Sequence[Manifest]) -> str:
    found = notices([m.source for m in manifests], [m.source for m in manifests if m.phantom])
    return "\n\n".join(f"> **{notice.strong}**{notice.rest}" for notice in found)


def _totals(manifests: Sequence[Manifest]) -> str:
    """The build's counts beside the paper's; what is synthetic does not stand beside the paper's."""
    columns = [("this build", _counts(manifests))]
    if any(m.phantom for m in manifests):
        columns.append(("without phantoms", _counts([m for m in manifests if not m.phantom])))
    columns.append(("the paper", PAPER))
    names = ("sources", "images", "masks", "modalities", "objects", "object–modality pairs")
    counts = zip(names, *(found for _, found in columns), strict=True)
    return _table(
        ["", *(head for head, _ in columns)],
        [[name, *(f"{count:,}" for count in row)] for name, *row in counts],
    )


def _counts(manifests: Sequence[Manifest]) -> tuple[int, ...]:
    """Sources, images, masks, modalities, objects, pairs."""
    return (
        len(manifests),
        sum(m.rows for m in manifests),
        sum(count.instances for m in manifests for count in m.pairs.values()),
        len({name for m in manifests for name in m.modalities}),
        len({name for m in manifests for name in m.objects}),
        len({name for m in manifests for name in m.pairs}),
    )


def _sources(manifests: Sequence[Manifest]) -> str:
    rows = [
        [
            sources.get(m.source).SOURCE.name + (" **(phantom)**" if m.phantom else ""),
            ", ".join(m.modalities),
            m.patients,
            m.cases,
            *(f"{m.splits.get(split, 0):,}" for split in SPLITS),
            len(m.skipped),
            f"`{m.version[:12]}`",
        ]
        for m in manifests
    ]
    return _table(["source", "modalities", "patients", "cases", *SPLITS, "cases skipped", "version"], rows)


def _pairs(manifests: Sequence[Manifest]) -> str:
    images: Counter[str] = Counter()
    instances: Counter[str] = Counter()
    for manifest in manifests:
        for name, count in manifest.pairs.items():
            images[name] += count.images
            instances[name] += count.instances
    return _table(
        ["object–modality pair", "images", "masks"],
        [[name, f"{images[name]:,}", f"{instances[name]:,}"] for name in sorted(images)],
    )


def _licences(slugs: Sequence[str]) -> str:
    found = [sources.get(slug).SOURCE for slug in slugs]
    rows = [
        [f"[{s.name}]({s.homepage})", s.licence, "yes" if s.redistributable else "no", s.citation]
        for s in found
    ]
    return _table(["source", "licence", "redistributable", "to cite"], rows)
