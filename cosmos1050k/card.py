"""Renders the dataset card, `README.md`: a header for `load_dataset`, then `card.md` with its counts; and
what lies beside it: its charts and pictures, and the Croissant metadata.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import yaml

from cosmos1050k import card_charts, card_gallery, croissant, reference, sources, taxonomy
from cosmos1050k.notices import notices
from cosmos1050k.schema import SPLITS, card_features
from cosmos1050k.shards import Manifest, dataset_version, load_manifest

CARD = Path(__file__).with_name("README.md")
PROSE = Path(__file__).with_name("card.md")
#: Beside the card: the folder of its charts and pictures, and its metadata.
ASSETS, METADATA = "assets", "croissant.json"
#: The configuration that `load_dataset("cosmos1050k")` takes.
ALL = "all"
#: The paper's sources, images, masks, modalities, objects and object–modality pairs.
PAPER = (53, 1_050_311, 6_033_198, 18, 84, 125)
#: A table of more lines is folded; of more skipped cases or exclusions a source's manifest tells.
_LONG, _MANY = 20, 5


def render(slugs: Sequence[str], data: Path) -> str:
    """The card of the built sources `slugs`, whose folders lie in `data`.

    Raises:
        InputError: one of them is not built.
    """
    manifests = [load_manifest(data / slug) for slug in slugs]
    prose = Template(PROSE.read_text()).substitute(
        notices=_notices(manifests),
        totals=_totals(manifests),
        charts=_charts(),
        gallery=_gallery(manifests),
        missing=_missing(manifests),
        faults=_faults(manifests),
        sources=_sources(manifests),
        pairs=_pairs(manifests),
        licences=_licences(slugs),
        example_config=_configs(manifests)[-1]["config_name"],
        example_source=slugs[0],
        split_note="The sample's one head is cut into slabs with a split each." if "sample" in slugs else "",
    )
    header = yaml.safe_dump(_header(manifests), sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{header}---\n\n{prose}"


def beside(slugs: Sequence[str], data: Path) -> dict[str, bytes]:
    """Name relative to the card → a file that lies beside it; the same build gives the same bytes.

    Raises:
        InputError: one of the sources is not built, or damaged.
    """
    charts = {name: text.encode() for name, text in card_charts.charts(slugs, data).items()}
    pictures = charts | card_gallery.sheets(slugs, data)
    files = {f"{ASSETS}/{name}": content for name, content in pictures.items()}
    return {**files, METADATA: croissant.text(slugs, data).encode()}


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


def _folded(summary: str, body: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def _charts() -> str:
    return "\n\n".join(f"![{title}]({ASSETS}/{file})" for file, title in card_charts.CHARTS.items())


def _gallery(manifests: Sequence[Manifest]) -> str:
    """A sheet per modality, and which pairs have no picture."""
    plan = card_gallery.plan(manifests)
    parts = []
    for modality, shown in plan.sheets.items():
        names = ", ".join(picture.object for picture in shown)
        parts.append(f"### {modality}\n\n![{names}]({ASSETS}/{card_gallery.sheet_name(modality)})")
    if plan.withheld:
        parts.append(f"No picture, since their sources must not be passed on: {', '.join(plan.withheld)}.")
    return "\n\n".join(parts)


def _sources(manifests: Sequence[Manifest]) -> str:
    rows = []
    for m in manifests:
        source = sources.get(m.source).SOURCE
        rows.append(
            [
                source.name + (" **(phantom)**" if m.phantom else ""),
                ", ".join(m.modalities),
                m.patients,
                f"{m.cases:,}" + (f" of {source.labelled:,}" if source.labelled and not m.phantom else ""),
                *(f"{m.splits.get(split, 0):,}" for split in SPLITS),
                f"{_masks(m):,}",
                _whole(m),
                len(m.skipped),
                len(m.excluded),
                f"`{m.version[:12]}`",
            ]
        )
    head = [
        "source",
        "modalities",
        "patients",
        "cases",
        *SPLITS,
        "masks",
        "whole release",
        "skipped",
        "excluded",
    ]
    return _table([*head, "version"], rows)


def _masks(manifest: Manifest) -> int:
    return sum(count.instances for count in manifest.pairs.values())


def _whole(manifest: Manifest) -> str:
    """How a build stands to the reference version of its source."""
    verdict = reference.verdict(manifest.source, manifest)
    known = reference.load().get(manifest.source)
    if known is None or verdict == "phantom":
        return "not known" if known is None else "–"
    if verdict == "partial" and _whole_but_for_excluded(manifest, known.rows):
        return f"whole, {len(manifest.excluded):,} excluded: {known.rows:,} images"
    return f"{verdict}: {known.rows:,} images"


def _whole_but_for_excluded(manifest: Manifest, rows: int) -> bool:
    """Whether all that a build lacks of the reference's rows was left out on purpose, as far as is told."""
    slices = sum(one.slice is not None for one in manifest.excluded)
    if slices == len(manifest.excluded):
        return manifest.rows + slices >= rows
    # How many rows an excluded case would have is not known, but how many cases there are.
    source = sources.get(manifest.source).SOURCE
    # A case counts once per modality; by that many it is no more names than there are.
    named = (manifest.cases + manifest.empty) / len(source.modalities) + len(manifest.excluded) - slices
    return source.labelled is not None and named >= source.labelled and not manifest.skipped


def _pairs(manifests: Sequence[Manifest]) -> str:
    images: Counter[str] = Counter()
    instances: Counter[str] = Counter()
    for manifest in manifests:
        for name, count in manifest.pairs.items():
            images[name] += count.images
            instances[name] += count.instances
    rows = [[name, f"{images[name]:,}", f"{instances[name]:,}"] for name in sorted(images)]
    table = _table(["object–modality pair", "images", "masks"], rows)
    return table if len(rows) <= _LONG else _folded(f"{len(rows)} object–modality pairs", table)


def _missing(manifests: Sequence[Manifest]) -> str:
    """What the paper's sources give and this build has not; the sample and phantoms are none of these."""
    own = {slug: found for slug in sources.slugs() if (found := sources.get(slug).SOURCE).package is None}
    real = {m.source: m for m in manifests if m.source in own and not m.phantom}
    reported = {taxonomy.pair(name, m) for m, names in taxonomy.REPORTED.items() for name in names}
    known = taxonomy.kept_pairs()
    pairs = known.keys() & {name for m in real.values() for name in m.pairs}
    rows, lines = [], []
    for modality in taxonomy.MODALITIES:
        givers = [slug for slug, source in own.items() if modality in source.modalities]
        of_it = {entry.pair: entry.object for entry in known.values() if entry.modality == modality}
        counts = [count for m in real.values() for name, count in m.pairs.items() if name in of_it]
        rows.append(
            [
                modality,
                f"{len(real.keys() & set(givers))} of {len(givers)}",
                f"{len(pairs & of_it.keys())} of {len(of_it)}",
                f"{sum(m.modalities.get(modality, 0) for m in real.values()):,}",
                f"{sum(count.instances for count in counts):,}",
            ]
        )
        lacking = [f"**{of_it[p]}**" if p in reported else of_it[p] for p in of_it if p not in pairs]
        if lacking:
            lines.append(f"- {modality}: {', '.join(lacking)}")
    parts = [
        f"This build has {len(real)} of the paper's {PAPER[0]} sources, and {len(reported & pairs)} of the "
        f"{len(reported)} pairs whose results it prints. It prints no number of images or masks per source, "
        f"and its list of {PAPER[5]} pairs is not at hand: the {len(known)} below are what the sources' "
        "labels give. The sample and synthetic images do not count here.",
        _table(["modality", "sources here", "pairs here", "images", "masks"], rows),
    ]
    if absent := [f"- [{one.name}]({one.homepage}): {one.access}" for s, one in own.items() if s not in real]:
        parts.append(
            _folded(f"{len(absent)} missing sources, and how their files are had", "\n".join(absent))
        )
    if lines:
        summary = f"{len(known) - len(pairs)} missing pairs; in bold those whose results the paper prints"
        parts.append(_folded(summary, "\n".join(lines)))
    return "\n\n".join(parts)


def _faults(manifests: Sequence[Manifest]) -> str:
    """What differs in a source from what its name promises: by its file, by its build, by exclusions."""
    lines = []
    for manifest in manifests:
        source = sources.get(manifest.source).SOURCE
        if source.note:
            lines.append(f"- {source.name}: {source.note}")
        lines += _listed(source.name, "skipped", [f"{one.case}: {one.reason}" for one in manifest.skipped])
        excluded = [
            f"{one.case}{'' if one.slice is None else f', slice {one.slice}'}: {one.reason}"
            for one in manifest.excluded
        ]
        lines += _listed(source.name, "excluded", excluded)
    text = "\n".join(lines) or "None is known of the sources of this build."
    return text if len(lines) <= _LONG else _folded(f"{len(lines)} notes", text)


def _listed(name: str, what: str, items: Sequence[str]) -> Iterator[str]:
    """One line for what was left out of a source; the first few in full."""
    if items:
        more = f"; and {len(items) - _MANY:,} more, see its manifest" if len(items) > _MANY else ""
        found = "; ".join(escape(item, quote=False) for item in items[:_MANY])
        yield f"- {name}: {len(items):,} {what}: {found}{more}"


def _licences(slugs: Sequence[str]) -> str:
    found = [sources.get(slug).SOURCE for slug in slugs]
    rows = [
        [f"[{s.name}]({s.homepage})", s.licence, "yes" if s.redistributable else "no", s.citation]
        for s in found
    ]
    return _table(["source", "licence", "redistributable", "to cite"], rows)
