"""Figures 12 and 15: an outline decoded from its Fourier series, and outlines of ever higher orders."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cosmos1050k.fourier import descriptors
from leaderboard.analyses import drawing
from leaderboard.analyses.given import BOX, NO_BOX, Floats, Given, percent, plural
from leaderboard.analyses.section import Section, table
from leaderboard.demo.samples import SampleObject, Samples

#: Orders that figure 12 decodes, up to the contour's highest.
_ORDERS = (1, 2, 4, 8, 16, 32)
#: Places that a contour is decoded at.
_PLACES = 400
#: Objects of figure 15: at even places from the lowest order to the highest.
_OBJECTS = 6
_LACK = "No source on the board may be shown: its terms don't let its pictures be passed on."


def figure_12(given: Given) -> Section:
    """The outline of the most complex object, decoded at orders 1, 2, 4, …"""
    key, title = "figure_12", "Figure 12: an outline decoded from its Fourier series"
    shown = _shown(given)
    if not shown:
        return Section(key, title, "", missing=_LACK)
    row = shown[-1]
    contour = _contour(_object(given, row).mask)
    orders = [order for order in _ORDERS if order <= max(1, len(contour) // 2)]
    figure = drawing.panels(2, 3, [f"order {order}" for order in orders], height=640)
    for place, order in enumerate(orders):
        _outline(figure, place, contour, "object", drawing.COLOURS[1], place == 0)
        _outline(figure, place, decoded(contour, order), "decoded", drawing.COLOURS[0], place == 0)
    drawing.square(figure)
    found = descriptors(contour, orders[-1])
    return Section(
        key,
        title,
        "The object with the highest Fourier order on the board that may be shown, "
        f"{row['fourier_order']:.1f} ({row['pair']}, {row['image_id']}, object {row['object_index']}), and "
        "its outer outline decoded from the first orders alone; one object, as in the paper; the table has "
        "its descriptors.",
        table(
            order=("Order", "count", list(range(1, len(found) + 1))),
            **{
                name: (name, ".3f", np.round(found[:, column], 6).tolist())
                for column, name in enumerate("abcd")
            },
        ),
        figure,
    )


def figure_15(given: Given) -> Section:
    """Outlines of objects from the lowest Fourier order to the highest, with the DICE of the best model."""
    key, title = "figure_15", "Figure 15: outlines of rising Fourier order and their DICE"
    scores = given.scores(given.first, BOX)
    if not scores.num_rows:
        return Section(key, title, "", missing=NO_BOX)
    dice = dict(zip(scores["object_id"].to_pylist(), scores["dice"].to_pylist(), strict=True))
    shown = [row for row in _shown(given) if row["object_id"] in dice]
    if not shown:
        return Section(key, title, "", missing=_LACK)
    places = sorted({round(place) for place in np.linspace(0, len(shown) - 1, _OBJECTS)})
    chosen = [shown[place] for place in places]
    titles = [
        f"order {row['fourier_order']:.1f}, DICE {100 * dice[row['object_id']]:.1f} %" for row in chosen
    ]
    figure = drawing.panels(2, 3, titles, height=640)
    for place, row in enumerate(chosen):
        entry = _object(given, row)
        x0, y0, x1, y1 = entry.box
        box = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        _outline(figure, place, _contour(entry.mask), "object", drawing.COLOURS[1], place == 0)
        _outline(figure, place, box, "box prompt", drawing.COLOURS[4], place == 0)
    drawing.square(figure)
    return Section(
        key,
        title,
        f"{plural(len(chosen), 'object')} of {len(shown):,} that may be shown, at even places from the "
        f"lowest Fourier order to the highest, the largest outline of each, with the DICE of "
        f"{given.first_told}; masks that a model predicts aren't kept, so its own is not drawn.",
        table(
            image=("Image", "text", [row["image_id"] for row in chosen]),
            place=("Object", "count", [row["object_index"] for row in chosen]),
            pair=("Pair", "text", [given.named(row["pair"]) for row in chosen]),
            order=("Fourier order", ".2f", [row["fourier_order"] for row in chosen]),
            dice=("DICE, %", ".2f", [percent(dice[row["object_id"]]) for row in chosen]),
        ),
        figure,
    )


def decoded(contour: NDArray[np.int32], order: int) -> Floats:
    """The outline that the series gives up to an order, n×2 (x, y).

    Args:
        contour: m×2 (x, y), closed, m ≥ 2.
    """
    steps = np.roll(contour, -1, axis=0) - contour
    lengths = np.hypot(*steps.T)
    centre = lengths @ (contour + steps / 2) / lengths.sum()
    angles = np.arange(1, order + 1) * np.linspace(0, 2 * np.pi, _PLACES, endpoint=False)[:, None]
    a, b, c, d = descriptors(contour, order).T
    waves = np.cos(angles), np.sin(angles)
    return centre + np.stack([waves[0] @ a + waves[1] @ b, waves[0] @ c + waves[1] @ d], axis=1)


def _shown(given: Given) -> list[dict[str, Any]]:
    """The board's objects that have an outline and may be shown, by Fourier order."""
    samples = Samples(given.data)
    slugs = [slug for slug in given.board["sources"] if samples.shows(slug)]
    rows = given.reader.rows(
        """select object_id, image_id, object_index, pair::varchar as pair from objects
        where on_board and area > ? and list_contains(?::varchar[], source) order by object_id""",
        1,
        slugs,
    )
    known = dict(
        zip(
            given.attributes["object_id"].to_pylist(),
            given.attributes["fourier_order"].to_pylist(),
            strict=True,
        )
    )
    found = [{**row, "fourier_order": known[row["object_id"]]} for row in rows]
    return sorted(
        (row for row in found if row["fourier_order"] is not None),
        key=lambda row: (row["fourier_order"], row["object_id"]),
    )


def _object(given: Given, row: dict[str, Any]) -> SampleObject:
    return Samples(given.data).load(row["image_id"]).objects[row["object_index"]]


def _contour(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The outer outline that encloses most, n×2 (x, y)."""
    found, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contours = [one.reshape(-1, 2).astype(np.int32) for one in found]
    return max(contours, key=lambda one: (cv2.contourArea(one), len(one)))


def _outline(figure: Any, place: int, points: NDArray[Any], name: str, colour: str, first: bool) -> None:
    """Adds a closed outline to a panel."""
    closed = np.round(np.concatenate([points, points[:1]]).astype(np.float64), 2)
    figure.add_scatter(
        name=name,
        x=closed[:, 0].tolist(),
        y=closed[:, 1].tolist(),
        mode="lines",
        line={"color": colour, "width": 2},
        legendgroup=name,
        showlegend=first,
        hoverinfo="skip",
        row=place // 3 + 1,
        col=place % 3 + 1,
    )
