"""Random masks or volumes, many per rule, drawn by hypothesis in packs, the same in every run."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st

from tests.many import many

Drawn = TypeVar("Drawn")

#: How many a pack holds: what hypothesis itself costs is paid per pack.
PACK = 40


def on_many(packs: st.SearchStrategy[Sequence[Drawn]], check: Callable[[Drawn], None]) -> None:
    """Calls `check` with 10,000 drawn things (a tenth: `many`) or more. The first that fails is shown."""
    seen = 0

    @settings(
        max_examples=math.ceil(many(10_000) / PACK),
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # a pack is too much to shrink
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(packs)
    def each(pack: Sequence[Drawn]) -> None:
        nonlocal seen
        seen += len(pack)
        for one in pack:
            try:
                check(one)
            except Exception as error:
                error.add_note(f"for {one!r}")
                raise

    each()
    assert seen >= many(10_000)


@st.composite
def codes(draw: st.DrawFn, shape: tuple[int, ...], bits: int) -> np.ndarray:
    """An array of any numbers of so many bits (1, 2, 4 or 8)."""
    size = math.prod(shape)
    count = math.ceil(size * bits / 8)
    drawn = np.frombuffer(draw(st.binary(min_size=count, max_size=count)), np.uint8)
    numbers = np.unpackbits(drawn).reshape(-1, bits) @ (1 << np.arange(bits))
    return numbers[:size].reshape(shape).astype(np.uint8)


def pixels(mask: np.ndarray) -> frozenset[tuple[int, int]]:
    """The pixels (x, y) of a mask H×W."""
    rows, columns = np.nonzero(mask)
    return frozenset(zip(columns.tolist(), rows.tolist(), strict=True))


@st.composite
def masks(draw: st.DrawFn, most: int = 9) -> np.ndarray:
    """A pack of masks n×H×W, bool: noise of any density, or a few blobs."""
    height, width = draw(st.integers(1, most)), draw(st.integers(1, most))
    bits = draw(st.sampled_from([1, 2, 4]))
    levels = draw(codes((PACK, height, width), bits))
    # Of one pack some masks are nearly full, some nearly empty.
    thresholds = np.arange(PACK) % ((1 << bits) - 1) if bits > 1 else np.zeros(PACK, int)
    return levels > thresholds[:, None, None]
