"""Figure 3: how much of which source, object, modality and size this build holds."""

from collections import Counter

from cosmos1050k import shards, sources, taxonomy
from cosmos1050k.card import PAPER
from cosmos1050k.card_charts import sizes
from leaderboard.analyses import drawing
from leaderboard.analyses.given import Given, plural
from leaderboard.analyses.section import Section, table

#: Objects that the figure shows; the table has all.
_MOST = 40


def section(given: Given) -> Section:
    """Four counts of the built sources."""
    slugs = given.board["sources"]
    manifests = {slug: shards.load_manifest(given.data / slug) for slug in slugs}
    images: Counter[str] = Counter()
    masks: Counter[str] = Counter()
    for manifest in manifests.values():
        images.update(manifest.modalities)
        masks.update({name: count.instances for name, count in manifest.objects.items()})
    charts = {
        "Source": {_source(slug): manifest.rows for slug, manifest in manifests.items()},
        "Object": dict(sorted(masks.items(), key=lambda one: (-one[1], one[0]))),
        "Modality": {name: images[name] for name in taxonomy.MODALITIES if name in images},
        "Image area": _areas(given),
    }
    counted = {"Object": "masks"}
    rows = [
        (what, name, number, counted.get(what, "images"))
        for what, found in charts.items()
        for name, number in found.items()
    ]
    figure = drawing.panels(2, 2, ["Images per source", "Masks per object", "Images per modality",
                                   "Images per area, up to"], height=760)  # fmt: skip
    for place, found in enumerate(charts.values()):
        figure.add_bar(
            x=[drawing.clean(name) for name in list(found)[:_MOST]],
            y=list(found.values())[:_MOST],
            marker={"color": drawing.COLOURS[place]},
            hovertemplate="%{x}: %{y:,}<extra></extra>",
            row=place // 2 + 1,
            col=place % 2 + 1,
        )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(type="category", showgrid=False)
    here = _counts(len(slugs), sum(images.values()), sum(masks.values()), len(images), len(masks))
    sentence = f"The board's dataset counts {here}, of all splits; the paper's counts {_counts(*PAPER[:5])}."
    if len(masks) > _MOST:
        sentence += f" The figure shows the {_MOST} most frequent objects, the table all."
    columns = list(zip(*rows, strict=True))
    return Section(
        "figure_3",
        "Figure 3: what this build holds",
        sentence,
        table(
            chart=("What", "text", columns[0]),
            name=("Name", "text", columns[1]),
            number=("Number", "count", columns[2]),
            unit=("Of", "text", columns[3]),
        ),
        figure,
    )


def _counts(sources_: int, images: int, masks: int, modalities: int, objects: int) -> str:
    kinds = "1 modality" if modalities == 1 else f"{modalities} modalities"
    return (
        f"{plural(sources_, 'source')}, {plural(images, 'image')}, {plural(masks, 'mask')}, {kinds} and "
        f"{plural(objects, 'object')}"
    )


def _source(slug: str) -> str:
    return sources.get(slug).SOURCE.name if slug in sources.slugs() else slug


def _areas(given: Given) -> dict[str, int]:
    """Images by the smallest square of the paper's that holds their area."""
    found: Counter[str] = Counter()
    for slug in given.board["sources"]:
        folder = given.data / slug
        found.update(sizes(folder, shards.load_manifest(folder)))
    return dict(found)
