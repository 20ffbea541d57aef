"""Which images of the board are annotated: such as the model does neither well nor badly on.

The paper "randomly sampled 100 images with average DICE performance", with 55 objects in 9 modalities, some
objects in several. Read here: an image is average if its DICE under the box prompt is no more than `BAND`
from what the model reaches as a rule on such objects: the mean over the image's pairs of the DICE there,
less the model's mean in the pair. Average images are drawn by chance, each time one of the pair that the
images drawn so far show least; of equal pairs that whose modality, then whose object they show least. All
objects of an image are annotated.
"""

from collections import Counter, defaultdict
from statistics import fmean
from typing import Any

from cosmos1050k.errors import InputError
from cosmos1050k.splits import uniform
from leaderboard.store.facts import ROUNDED
from leaderboard.store.read import BoardReader
from leaderboard.studies.correction import STRATEGY

#: Of DICE in 0…1.
BAND = 0.05
#: Of the hash that images are drawn by; another one would draw others.
_KEY = b"cosmos1050k/annotation"


def choose(reader: BoardReader, model: str, images: int, seed: int) -> list[str]:
    """Ids of images of the published board, in the order drawn; fewer if no more are average.

    Args:
        seed: another one draws others; the same board and seed the same.

    Raises:
        InputError: the model has no scores of a whole pair under the box prompt.
    """
    rows = _rows(reader, model)
    if not rows:
        problem = f"no scores of a whole pair under {STRATEGY} on the board"
        raise InputError(f"{model}: {problem}; run `make repro` with it under `models` in params.yaml")
    by_image: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_image[row["image_id"]].append(row)
    shown = {image: [row["pair"] for row in own] for image, own in by_image.items()}
    average: dict[str, list[str]] = defaultdict(list)
    for image, own in by_image.items():
        if not any(row["failed"] for row in own) and _away(own) <= BAND:
            for pair in shown[image]:
                average[pair].append(image)

    def drawn(name: str) -> tuple[float, str]:
        return uniform(f"{seed}/{name}", _KEY), name

    for waiting in average.values():
        waiting.sort(key=drawn, reverse=True)
    known = {row["pair"]: (row["modality"], row["object"]) for row in reader.pair_list()}
    counts: Counter[str] = Counter()
    taken: dict[str, None] = {}

    def least(pair: str) -> tuple[Any, ...]:
        return counts[pair], *(counts[name] for name in _tagged(*known[pair])), drawn(pair)

    while len(taken) < images and average:
        pair = min(average, key=least)
        image = average[pair].pop()
        if not average[pair]:
            del average[pair]
        if image not in taken:
            taken[image] = None
            pairs = shown[image]
            counts.update(pairs)
            counts.update({name for one in pairs for name in _tagged(*known[one])})
    return list(taken)


def _away(rows: list[dict[str, Any]]) -> float:
    """How far from the model's means an image's DICE is, of its rows per pair."""
    return abs(fmean(row["dice"] - row["mean"] for row in rows))


def _tagged(modality: str, thing: str) -> tuple[str, str]:
    """Names that no pair has, nor one the other."""
    return f"modality/{modality}", f"object/{thing}"


def _rows(reader: BoardReader, model: str) -> list[dict[str, Any]]:
    """Per image and pair of the board its DICE, the model's mean in the pair, whether the model failed."""
    return reader.rows(
        f"""with images as (
            select o.image_id, s.pair::varchar as pair, avg({ROUNDED.format("s.dice_oracle")}) as dice,
                bool_or(s.status = 'failed') as failed
            from scores s join objects o using (object_id)
            semi join (select * from coverage where scores = of_scores) w
                on w.model = s.model and w.strategy = s.strategy and w.pair = s.pair
            where o.on_board and s.model = try_cast(? as model_name) and s.strategy = ?
            group by all
        )
        select *, avg({ROUNDED.format("dice")}) over (partition by pair) as mean
        from images order by image_id, pair""",
        model,
        STRATEGY,
    )
