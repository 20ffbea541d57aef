"""The two sides of a paired organ, against flood fills and distances of every two voxels."""

import itertools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from scipy import ndimage
from scipy.spatial.distance import cdist

from cosmos1050k.sides import parted
from tests.cosmos1050k import literal, packs
from tests.many import many

CODES = [
    "".join(direction[flip] for direction, flip in zip(axes, flips, strict=True))
    for axes in itertools.permutations(("RL", "AP", "SI"))
    for flips in itertools.product((0, 1), repeat=3)
]
#: Millimetres along right, front and up; many distances are equal, and not all are whole binary numbers.
SIZES = [
    (1, 1, 1),
    (1, 1, 2),
    (3, 1, 2),
    ("0.7", "0.7", "0.7"),
    ("0.1", "0.3", "0.2"),
    ("0.977", "0.977", "2.5"),
]


@dataclass(frozen=True)
class Organ:
    """A mask i×j×k, where its axes run to (None: no one knows) and the millimetres along each."""

    mask: np.ndarray
    codes: str | None
    sizes: tuple[Fraction, ...]

    @property
    def affine(self) -> np.ndarray | None:
        if self.codes is None:
            return None
        change = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(self.codes))
        return inv_ornt_aff(change, (7, 7, 7)) @ np.diag([*map(float, self.sizes), 1])


@st.composite
def organs(draw: st.DrawFn) -> list[Organ]:
    """A pack of organs in none to many pieces."""
    shape = draw(st.tuples(*[st.integers(1, 6)] * 3))
    right_front_up = [Fraction(size) for size in draw(st.sampled_from(SIZES))]
    codes = draw(st.one_of(st.none(), st.sampled_from(CODES)))
    sizes = right_front_up
    if codes is not None:
        sizes = [right_front_up["RLAPSI".index(code) // 2] for code in codes]
    else:
        sizes = [Fraction(1)] * 3
    levels = draw(packs.codes((packs.PACK, *shape), 4))
    thresholds = 8 + np.arange(packs.PACK) % 8  # from half full to one voxel in sixteen and none
    pack = levels[...] >= thresholds[:, None, None, None]
    order = draw(st.sampled_from("FC"))
    return [Organ(mask.copy(order=order), codes, tuple(sizes)) for mask in pack]


def voxels(mask: np.ndarray) -> set[tuple[int, int, int]]:
    return set(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))


def test_many_organs() -> None:
    pieces: list[int] = []

    def check(organ: Organ) -> None:
        before = organ.mask.copy()
        parts, names = parted(organ.mask, organ.affine)
        found = {name: voxels(parts == number) for number, name in enumerate(names, start=1)}
        assert found == literal.sides(organ.mask, organ.codes, organ.sizes)
        assert (parts.dtype, parts.max(initial=0)) == (np.uint8, len(names))
        assert np.array_equal(organ.mask, before)
        pieces.append(len(names))

    packs.on_many(organs(), check)
    assert all(pieces.count(number) > many(300) for number in (0, 1, 2))


def balls(random: np.random.Generator) -> np.ndarray:
    """Two balls, and specks and small balls around them."""
    places = np.moveaxis(np.indices((30, 20, 16)), 0, -1)
    mask = random.random(places.shape[:3]) < 0.01
    for radius, centre in ((5.5, (8, 9, 8)), (5, (22, 10, 8)), (1.8, (14, 10, 2)), (1.8, (16, 16, 8))):
        mask |= np.linalg.norm(places - centre - random.random(3), axis=-1) <= radius
    return mask


@pytest.mark.parametrize("seed", range(30))
def test_fragments_join_the_nearer_in_space_however_the_volume_lies(seed: int) -> None:
    """Over all voxels, not those of the border alone; oblique volumes, whose axes may be a little askew."""
    random = np.random.default_rng(seed)
    mask = balls(random)
    turn, _ = np.linalg.qr(random.standard_normal((3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = (turn + random.uniform(-0.08, 0.08, (3, 3))) * random.uniform(0.5, 3, 3)
    affine[:3, 3] = random.uniform(-200, 200, 3)
    parts, names = parted(mask, affine)
    assert names == ["left", "right"]
    numbers, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = ndimage.sum_labels(mask, numbers, range(1, count + 1))
    first, second = np.argsort(-sizes, kind="stable")[:2] + 1
    millimetres = [np.argwhere(numbers == number) @ affine[:3, :3].T for number in range(1, count + 1)]
    across = [millimetres[large - 1][:, 0].mean() for large in (first, second)]
    side_of_first = 1 if across[0] < across[1] else 2
    for number, own in enumerate(millimetres, start=1):
        to_first, to_second = (cdist(own, millimetres[large - 1]).min() for large in (first, second))
        nearer_first = to_first < to_second + 1e-9
        assert set(parts[numbers == number]) == {side_of_first if nearer_first else 3 - side_of_first}
    assert not parts[~mask].any()


def test_a_worked_pair() -> None:
    """Five voxels at the start of the first axis, four at its end, a speck between, nearer to the five."""
    mask = np.zeros((8, 3, 3), bool)
    mask[0, :, 0] = mask[0, :2, 1] = True  # five, left
    mask[7, :2, 0] = mask[7, :2, 1] = True  # four, right
    mask[3, 0, 0] = True
    parts, names = parted(mask, np.diag([1.0, 1, 1, 1]))
    assert names == ["left", "right"]
    assert parts[3, 0, 0] == 1  # 3 mm to the left one, 4 mm to the right one
    assert (parts[0, 0, 0], parts[7, 0, 0]) == (1, 2)
    parts, names = parted(mask, np.diag([-1.0, 1, 1, 1]))  # now the first axis runs to the left
    assert (parts[0, 0, 0], parts[3, 0, 0], parts[7, 0, 0], names) == (2, 2, 1, ["left", "right"])
    parts, names = parted(mask, None)
    assert (parts[0, 0, 0], parts[3, 0, 0], parts[7, 0, 0], names) == (1, 1, 2, ["1", "2"])


def test_one_piece_or_none_has_no_side() -> None:
    mask = np.zeros((4, 4, 4), bool)
    parts, names = parted(mask, np.eye(4))
    assert (parts.any(), names) == (False, [])
    mask[1, 1, 1] = mask[2, 2, 2] = True  # they touch by a corner
    parts, names = parted(mask, np.eye(4))
    assert np.array_equal(parts, mask)
    assert names == [""]
