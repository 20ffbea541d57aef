"""Table 7: how much effort a model's masks leave to people, and how much it spares those who annotate."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from leaderboard.analyses import drawing
from leaderboard.analyses.given import Given, failed, plural, scaled
from leaderboard.analyses.section import Section, table
from leaderboard.annotation import result
from leaderboard.annotation.folder import TASKS
from leaderboard.annotation.result import Annotation, Work
from leaderboard.latency import SIDE
from leaderboard.selection import SELECTIONS
from leaderboard.studies import correction
from leaderboard.studies.correction import CORRECTION, NOTHING, STRATEGY, Correction
from leaderboard.studies.effort import RELAX

_KEY, _TITLE = "table_7", "Table 7: the effort to correct masks, and people's"
_ALONE = "the model alone"
_ORACLE = SELECTIONS[0]
#: What the paper's rows call who did it → as we do.
_THEIRS = {"human": TASKS["scratch"], "human_with_sam": TASKS["corrected"], "sam": _ALONE}


def section(given: Given) -> Section:
    """Human Correction Effort and time of each model, and of the people of imported studies."""
    every = given.studied(correction.read, CORRECTION.name)
    found, failures = [one for one in every if one.efforts], failed(every)
    studies = [
        one
        for one in result.every(given.measured / result.FOUND.name)
        if one.sources.items() <= given.versions.items()
    ]
    rows = [*_of_models(given, found), *(row for one in studies for row in _of_study(given, one))]
    if not rows:
        lack = "No model's masks were measured, and no study was imported; run `make repro`."
        return Section(_KEY, _TITLE, "", missing=failures.strip() or lack)
    theirs = _of_paper(given)
    listed = [*rows, *theirs]
    # Not the paper's: on one axis they would pass for comparable.
    names = [", ".join((row["who"], row["did"], row["on"])) for row in rows]
    series = {"HCE per object": [row["per_object"] for row in rows]}
    return Section(
        _KEY,
        _TITLE,
        _sentence(found, studies, bool(theirs)) + failures,
        table(
            who=("Who", "text", [row["who"] for row in listed]),
            did=("Masks", "text", [row["did"] for row in listed]),
            on=("On", "text", [row.get("on") for row in listed]),
            images=("Images", "count", [row.get("images") for row in listed]),
            objects=("Objects", "count", [row.get("objects") for row in listed]),
            per_object=("HCE per object", ".2f", [row.get("per_object") for row in listed]),
            per_image=("HCE per image", ".2f", [row.get("per_image") for row in listed]),
            rated=("HCE per object, by predicted IoU", ".2f", [row.get("rated") for row in listed]),
            nothing=("HCE per object, empty masks", ".2f", [row.get("nothing") for row in listed]),
            seconds=("Seconds per image", ".3g", [row.get("seconds") for row in listed]),
            paper=("Paper's HCE", ".2f", [row.get("paper") for row in listed]),
        ),
        drawing.dots(names, series, "clicks to correct a mask, per object"),
    )


def _of_models(given: Given, found: Sequence[Correction]) -> list[dict[str, Any]]:
    measured = given.reader.measured()
    encoders = {model["name"]: model["encoder_ms"] for model in given.models}
    rows = []
    for one in found:
        prompt = measured.get((one.model, STRATEGY), {}).get("prompt_ms")
        encoder = encoders[one.model]
        seconds = None
        if prompt is not None and encoder is not None:
            seconds = (encoder + prompt * one.objects / one.images) / 1000
        own, nothing = one.efforts[_ORACLE], one.efforts[NOTHING]
        rows.append(
            {
                "who": given.titled(one.model),
                "did": _ALONE,
                "on": "test images",
                "images": one.images,
                "objects": one.objects,
                "per_object": own.per_object,
                "per_image": own.per_image,
                "rated": one.efforts["predicted_iou"].per_object,
                "nothing": nothing.per_object,
                "seconds": scaled(seconds, 1),
            }
        )
    return rows


def _of_study(given: Given, study: Annotation) -> list[dict[str, Any]]:
    """The model's masks as people were given them, then who did what, and the means of more than one."""
    on = {"on": study.study, "images": study.images, "objects": study.objects}
    mark = _mark(given, study)
    model = f"{given.titled(study.model)} ({mark})" if mark else given.titled(study.model)
    adjusted = "; ".join(filter(None, (study.model, mark)))
    rows: list[dict[str, Any]] = [
        {**on, "who": model, "did": _ALONE, **study.presegmented.model_dump()},
    ]
    for task, heading in TASKS.items():
        works = study.of_task(task)
        did = heading if task == "scratch" else f"{heading} ({adjusted})"
        rows += [{**on, "who": name, "did": did, **_numbers([work])} for name, work in works.items()]
        if len(works) > 1:
            people = f"{len(works)} people, mean"
            rows.append({**on, "who": people, "did": did, **_numbers(list(works.values()))})
    return rows


def _mark(given: Given, study: Annotation) -> str:
    """What to know of a study's model where it is none of the board's, or nothing."""
    present = {model["name"]: (model["version"], model["weights_sha256"]) for model in given.models}
    if study.model not in present:
        return "not on this board"
    same = present[study.model] == (study.version, study.weights_sha256)
    return "" if same else "other weights than the board's"


def _numbers(works: Sequence[Work]) -> dict[str, float]:
    return {
        "per_object": round(fmean(work.effort.per_object for work in works), 6),
        "per_image": round(fmean(work.effort.per_image for work in works), 6),
        "seconds": round(60 * fmean(work.minutes for work in works), 3),
    }


def _of_paper(given: Given) -> list[dict[str, Any]]:
    """The paper's rows; none beside a board of synthetic images."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for one in given.reported(7):
        who = f"Paper, doctor {one['run']}" if one["run"] != "mean" else "Paper, 3 doctors, mean"
        if one["detail"] == "sam":
            who = "Paper, SAM"
        row = rows.setdefault((who, one["detail"]), {"who": who, "did": _THEIRS[one["detail"]]})
        if one["metric"] == "hce":
            row["paper"] = one["value"]
        else:
            row["seconds"] = scaled(one["value"], 60 if one["metric"] == "minutes" else 1)
    return list(rows.values())


def _sentence(found: Sequence[Correction], studies: Sequence[Annotation], beside: bool) -> str:
    parts = []
    if found:
        most = max(found, key=lambda one: one.objects)
        parts.append(
            f"of the masks of {plural(len(found), 'model')} under {STRATEGY}, the best of a model's "
            f"candidates (oracle), on up to {plural(most.objects, 'object')} of "
            f"{plural(most.images, 'test image')} of the board's sources, spread over pairs and cases"
        )
    if studies:
        people = sum(len(one.annotators) for one in studies)
        counted = f"{people} who annotated" if people > 1 else "one who annotated"
        parts.append(
            f"of {counted} images of average DICE in imported studies, "
            "given each object's true box (objects.csv)"
        )
    paper = (
        "the paper's are of 100 images of average DICE of its own, and it says neither which SAM it took nor "
        "whether it counts per object or per image, so the figure leaves them out"
        if beside
        else "none of the paper's beside synthetic images"
    )
    return (
        "Human Correction Effort (HCE), the clicks to mend a mask at the image's own size, the less the "
        f"better, errors of less than about {RELAX} pixels let pass, {' and '.join(parts)}: the mean over "
        "objects, and over images of their objects' sum. A model's time is that of its encoder and of a "
        f"prompt per object on an image of {SIDE}×{SIDE} pixels, people's is what they wrote down; {paper}."
    )
