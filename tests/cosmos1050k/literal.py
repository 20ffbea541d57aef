"""The protocol's rules from a volume to its rows (sections 1 and 2), word by word, in plain loops: slow.

Nothing here imports what it is held against but the shapes of results. A mask is a set of pixels (x, y).
"""

import itertools
import math
import operator
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from cosmos1050k.prompts import ObjectPrompts
from cosmos1050k.source import Label

Pixels = frozenset[tuple[int, int]]
#: Object, instance, pixels.
Found = tuple[str, str | None, Pixels]

# Section 1, step 2: slices.

#: View → where rows run to, where columns run to, and along which directions the slices follow each other.
DISPLAY = {"transverse": ("P", "L", "SI"), "coronal": ("I", "L", "AP"), "sagittal": ("I", "P", "RL")}
OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}


def sliced(array: np.ndarray, codes: str, view: str) -> np.ndarray:
    """Every voxel (i, j, k) put where a radiologist expects it; the slices keep the file's order.

    Args:
        codes: the direction each stored axis runs to, such as `LPS`.
    """
    down, right, along = DISPLAY[view]
    lengths = dict(zip(codes, array.shape, strict=True))
    rows = lengths.get(down) or lengths[OPPOSITE[down]]
    columns = lengths.get(right) or lengths[OPPOSITE[right]]
    shown = np.empty((array.size // rows // columns, rows, columns), array.dtype)
    for index in np.ndindex(array.shape):
        for code, place in zip(codes, index, strict=True):
            if code in along:
                number = place
            elif code in (down, OPPOSITE[down]):
                row = place if code == down else rows - 1 - place
            else:
                column = place if code == right else columns - 1 - place
        shown[number, row, column] = array[index]
    return shown


def sliced_as_stored(array: np.ndarray, axis: int) -> np.ndarray:
    """Slices along a stored axis; of the other two the later runs down the rows."""
    across, down = [other for other in range(3) if other != axis]
    lengths = array.shape[axis], array.shape[down], array.shape[across]
    shown = np.empty(lengths, array.dtype)
    for index in np.ndindex(array.shape):
        shown[index[axis], index[down], index[across]] = array[index]
    return shown


# Section 1, step 3: which slices are kept.


def fits(label: Label, value: float | list) -> bool:
    """Whether a pixel of a mask, one value or a list of one per channel, is the label's."""
    channels = value if isinstance(value, list) else [value]
    if label.value is not None:
        return channels[0] in label.values
    if label.above is not None:
        mean = channels[0] if len(channels) == 1 else sum(channels) / len(channels)
        return mean > label.above and (label.up_to is None or mean <= label.up_to)
    three = channels * 3 if len(channels) == 1 else channels  # gray is a colour too
    pairs = zip(three, label.colour, strict=True)
    return all(abs(one - wanted) <= label.within for one, wanted in pairs)


def sum_of_values(mask: np.ndarray, labels: Sequence[Label], every_pixel: int | None = None) -> int:
    """The sum of a mask's own values over the pixels of its labels, each pixel once; a label that is by value
    in neither its pixels nor its instances counts its weight. `every_pixel` is counted for each pixel that is
    not 0 where it is given.
    """
    total = 0
    for value in _listed(mask):
        if every_pixel is not None:
            total += every_pixel if value else 0
            continue
        fitting = [label for label in labels if fits(label, value)]
        by_value = [label for label in fitting if label.value is not None]
        others = [label for label in fitting if label.value is None]
        if by_value or (others and others[0].instances in ("values", "parts")):
            total += int(value[0] if isinstance(value, list) else value)
        elif others:
            total += others[0].weight
    return total


def _listed(mask: np.ndarray) -> list:
    return [value for row in mask.tolist() for value in row]


# Section 1, step 4: 8 bits.


def normalised(values: np.ndarray) -> np.ndarray:
    """255·(I − I_min)/(I_max − I_min), all channels together, in float64, truncated; a constant is zeros;
    NaN and infinities count as the finite minimum.
    """
    flat = [float(value) for value in values.reshape(-1)]
    finite = [value for value in flat if math.isfinite(value)]
    low = min(finite, default=0.0)
    flat = [value if math.isfinite(value) else low for value in flat]
    high = max(flat)
    levels = [0 if high == low else int(255.0 * (value - low) / (high - low)) for value in flat]
    return np.array(levels, np.uint8).reshape(values.shape)


# Section 1, step 5: instances.


def instances(mask: np.ndarray, labels: Sequence[Label]) -> list[Found]:
    """The instances in a slice of one mask file, in the labels' order; none of paired organs by side."""
    rows = mask.tolist()
    found: list[Found] = []
    for label in labels:
        pixels = [(x, y) for y, row in enumerate(rows) for x, value in enumerate(row) if fits(label, value)]
        if not pixels:
            continue
        if label.instances == "one":
            found.append((label.object, label.instance, frozenset(pixels)))
        elif label.instances in ("values", "parts"):
            gray = [[value[0] if isinstance(value, list) else value for value in row] for row in rows]
            for value in sorted({gray[y][x] for x, y in pixels}):
                own = frozenset((x, y) for x, y in pixels if gray[y][x] == value)
                parts = _components(sorted(own, key=lambda pixel: pixel[::-1]))
                if label.instances == "values" or len(parts) == 1:
                    found.append((label.object, str(int(value)), own))
                    continue
                for number, part in enumerate(parts, start=1):
                    found.append((label.object, f"{int(value)}.{number}", part))
        else:
            for number, component in enumerate(_components(pixels), start=1):
                found.append((label.object, str(number), component))
    return found


def _components(pixels: Sequence[tuple[int, int]]) -> list[Pixels]:
    """8-connected components in the order of their first pixels, row by row."""
    return [frozenset(part) for part in _connected([(x, y) for x, y in pixels])]


def _connected(places: Sequence[tuple[int, ...]]) -> list[list[tuple[int, ...]]]:
    """Places that touch, were it by a corner, belong together; in the order of the first of each."""
    waiting = dict.fromkeys(places)
    steps = list(itertools.product((-1, 0, 1), repeat=len(places[0]))) if places else []
    found = []
    while waiting:
        part = [next(iter(waiting))]
        del waiting[part[0]]
        for place in part:
            for step in steps:
                near = tuple(map(operator.add, place, step))
                if near in waiting:
                    del waiting[near]
                    part.append(near)
        found.append(part)
    return found


def sides(
    organ: np.ndarray, codes: str | None, sizes: Sequence[Fraction]
) -> dict[str, set[tuple[int, int, int]]]:
    """Name → voxels (i, j, k) of an organ's two sides: the two largest 26-connected components, every other
    joining that whose nearest voxel is nearer, the larger of two as near.

    Args:
        organ: (i, j, k), bool.
        codes: the direction each stored axis runs to, or None where the file doesn't say.
        sizes: millimetres between voxels along each stored axis.
    """
    shape = organ.shape
    in_file_order = [
        (i, j, k) for k in range(shape[2]) for j in range(shape[1]) for i in range(shape[0]) if organ[i, j, k]
    ]
    parts = sorted(_connected(in_file_order), key=len, reverse=True)  # of equal ones the first stays first
    if len(parts) < 2:
        return {"": set(parts[0])} if parts else {}
    grown = [set(parts[0]), set(parts[1])]
    for fragment in parts[2:]:
        near = [_nearest(fragment, large, sizes) for large in parts[:2]]
        grown[0 if near[0] <= near[1] else 1].update(fragment)
    if codes is None:
        return {"1": grown[0], "2": grown[1]}
    axis = next(number for number, code in enumerate(codes) if code in "LR")
    middles = [Fraction(sum(place[axis] for place in large), len(large)) for large in parts[:2]]
    to_the_right = [middle if codes[axis] == "R" else -middle for middle in middles]
    left = 0 if to_the_right[0] <= to_the_right[1] else 1
    return {"left": grown[left], "right": grown[1 - left]}


def _nearest(
    one: Sequence[tuple[int, ...]], other: Sequence[tuple[int, ...]], sizes: Sequence[Fraction]
) -> Fraction:
    """The squared distance of the nearest two, in mm²."""
    return min(
        sum(((a - b) * size) ** 2 for a, b, size in zip(here, there, sizes, strict=True))
        for here in one
        for there in other
    )


# Section 1, step 6: regions and tiles.


def regions(
    masks: Sequence[Pixels], width: int, height: int, most: int = 255
) -> tuple[list[list[int]], list[list[int]]] | None:
    """The label map, rows of numbers, and the numbers of each mask; None if there are more than `most`.

    Every combination of masks that occurs is a number; they count up with the combinations, of which the one
    with the later mask is the later: 0, 1, 0+1, 2, 0+2, 1+2, …
    """
    combination: dict[tuple[int, int], tuple[int, ...]] = {
        (x, y): () for y in range(height) for x in range(width)
    }
    for number, mask in enumerate(masks):
        for pixel in mask:
            combination[pixel] += (number,)
    occurring = sorted(set(combination.values()) - {()}, key=lambda members: sum(2**one for one in members))
    if len(occurring) > most:
        return None
    numbers = {members: number for number, members in enumerate([(), *occurring])}
    label_map = [[numbers[combination[x, y]] for x in range(width)] for y in range(height)]
    values = [
        [numbers[members] for members in occurring if number in members] for number in range(len(masks))
    ]
    return label_map, values


#: Left, top, width, height.
Place = tuple[int, int, int, int]


def tiles(found: Sequence[Found], place: Place, most: int = 255) -> list[tuple[Place, list[Found]]]:
    """The picture, or halves of its longer side (of a square its height), each halved again until it fits;
    upper and left halves first; an instance keeps its name in each. A tile that holds nothing is no row.
    """
    left, top, width, height = place
    inside = []
    for name, instance, pixels in found:
        own = frozenset((x, y) for x, y in pixels if left <= x < left + width and top <= y < top + height)
        if own:
            inside.append((name, instance, own))
    if not inside:
        return []
    moved = [frozenset((x - left, y - top) for x, y in pixels) for _, _, pixels in inside]
    if regions(moved, width, height, most) is not None:
        return [(place, [(*one[:2], own) for one, own in zip(inside, moved, strict=True)])]
    if height >= width:
        half = height // 2
        halves = (left, top, width, half), (left, top + half, width, height - half)
    else:
        half = width // 2
        halves = (left, top, half, height), (left + half, top, width - half, height)
    return [tile for one in halves for tile in tiles(inside, one, most)]


# Section 2: prompts.

N = 5


def prompts(mask: np.ndarray) -> ObjectPrompts:
    """Box and points of a mask H×W, with Python's lists and fractions alone."""
    height, width = mask.shape
    inside = mask.tolist()
    fg = [(x, y) for y in range(height) for x in range(width) if inside[y][x]]  # pixels in row-major order
    m00 = len(fg)
    m10, m01 = sum(x for x, _ in fg), sum(y for _, y in fg)
    centre = int(Fraction(m10, m00)), int(Fraction(m01, m00))

    step = max(len(fg) // N, 1)
    candidates = fg[::step][:N]
    positive = [centre, *candidates[1:N]] if inside[centre[1]][centre[0]] else candidates

    x_min, x_max = min(x for x, _ in fg), max(x for x, _ in fg)
    y_min, y_max = min(y for _, y in fg), max(y for _, y in fg)
    w, h = Fraction(x_max - x_min), Fraction(y_max - y_min)
    from_x, to_x = max(x_min - w / 2, Fraction(0)), min(x_max + w / 2, Fraction(width))
    from_y, to_y = max(y_min - h / 2, Fraction(0)), min(y_max + h / 2, Fraction(height))
    start_x, size_x = int(from_x), int(to_x - from_x)
    start_y, size_y = int(from_y), int(to_y - from_y)
    bg = [
        (x, y)
        for y in range(start_y, start_y + size_y)
        for x in range(start_x, start_x + size_x)
        if not inside[y][x]
    ]
    negative = bg[:: max(len(bg) // N, 1)][:N] if bg else [(-1, -1)] * N

    for points in (positive, negative):
        while len(points) < N:
            points.append(points[-1])
    lists = [[list(point) for point in points] for points in (positive, negative)]
    return ObjectPrompts(m00, [x_min, y_min, x_max, y_max], *lists)
