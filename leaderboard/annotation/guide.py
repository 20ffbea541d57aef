"""`README.md` of a study's folder: how to run the study."""

from cosmos1050k.notices import notices
from leaderboard.annotation.folder import (
    ANNOTATIONS,
    IGNORE,
    IMAGES,
    OBJECTS,
    PRESEGMENTED,
    TIMES,
    AnnotationStudy,
)


def text(study: AnnotationStudy) -> str:
    """The guide of a study, for those who annotate and who lead them."""
    first = study.images[0]
    mask = first.objects[0].mask
    return f"""# Annotating {len(study.images)} images, with and without {study.model}

{_warnings(study)}For research; not a medical device. {study.objects} objects are to be outlined twice: from
scratch, and by adjusting what the model {study.model} made of their boxes. The time of each image is written
down. The design is that of table 7 of Huang et al., Medical Image Analysis 92, 103061 (2024). The images are
such as {study.model} does neither well nor badly on: their DICE is within {100 * study.band:g} points of
its means in the pairs that they show. That is said of an image as a whole; single objects may be farther off.

## What is here

| file | what |
|---|---|
| `{IMAGES}/` | the images, PNG of 8 bits |
| `{OBJECTS}` | per object its mask's file, its image, what it is, its box (pixels from 0, ends inside) |
| `{PRESEGMENTED}/` | the model's masks, a file per object, as objects overlap: 0 outside, 255 inside |
| `{TIMES}` | to be filled in |
| `study.json` | what all this was made of; leave it and `{PRESEGMENTED}/` as they are |
| `{IGNORE}` | keeps this folder out of git |

The true masks are not here. The box tells which thing is meant, such as which of two kidneys.

## What to do

Everyone has a short name of letters, digits, `-` and `_`; one that does not tell who it is will do. `ANNA`
stands for it below. Do the first task for all images before the second, with some weeks between, so that
nobody remembers.

1. **From scratch**: look at the image and at `{OBJECTS}`, not at `{PRESEGMENTED}/`. Outline every object of
   it. Save each as `{ANNOTATIONS}/ANNA/scratch/{mask}`, named as in `{OBJECTS}`.
2. **Corrected**: copy `{PRESEGMENTED}/` to `{ANNOTATIONS}/ANNA/corrected/`, and mend the masks there.

A mask is a PNG of 8 bits, gray, of its image's size, lossless: 0 outside, one other value (such as 255 or 1)
inside. Where you see nothing of an object, save an empty one. ITK-SNAP, CVAT, LabelMe and others write such
files, or files that become such by one export. Of what the model offered for a box, its mask is the one
nearest to the truth, as on the board and in the paper.

For each image and task write a line into `{TIMES}`: the seconds from opening the image to saving its last
mask, all its objects together, pauses taken off:

```
annotator,task,image,seconds
ANNA,scratch,{first.file},256
ANNA,corrected,{first.file},178
```

## When it is done

`cosmos import-annotation FOLDER`, where the dataset of the same version is built, checks all of it and
measures how many clicks would still be needed to reach the true masks. Who did a task did it for every image.
It may be run as often as you like; table 7 of `make repro` shows the last.
"""


def _warnings(study: AnnotationStudy) -> str:
    """A quoted paragraph each, or nothing."""
    said = [str(one) for one in notices(tuple(study.sources), study.phantoms)]
    if study.closed:
        names = ", ".join(study.closed)
        said.append(
            f"Not to be passed on: the terms of {names} forbid it. Show this folder only to people who may "
            "see those images by the owners' terms, and delete their copies afterwards."
        )
    return "".join(f"> **{one}**\n\n" for one in said)
