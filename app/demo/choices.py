"""Which images of the dataset there are to pick: examples of a pair, and a model's best and worst."""

from cosmos1050k.errors import InputError
from cosmos1050k.taxonomy import pair
from leaderboard.demo.samples import Samples
from leaderboard.store.extremes import extremes
from leaderboard.store.read import BoardReader
from leaderboard.store.views import DEFAULT

EXAMPLES, BEST, WORST = "Examples", "Best of the model", "Worst of the model"
#: Images offered at a time.
COUNT = 12

Choice = tuple[str, str]


class Choices:
    """What the built sources offer, of those whose pictures may be shown."""

    def __init__(self, samples: Samples, reader: BoardReader) -> None:
        self._samples, self._reader = samples, reader

    def modalities(self) -> list[str]:
        """Those with an object, sorted."""
        return sorted(self._samples.pairs())

    def objects(self, modality: str | None) -> list[str]:
        """Those of a modality, sorted."""
        return sorted(self._samples.pairs().get(modality or "", []))

    def images(self, modality: str, of_object: str, which: str, model: str | None) -> list[Choice]:
        """Label and value of each image; the value is the object's place and the image's id.

        Best and worst are those of the board under S5 (box), as the model's own rating chooses.
        """
        name = pair(of_object, modality)
        if which == EXAMPLES or model is None:
            return [(image_id, f":{image_id}") for image_id in self._samples.of_pair(name, COUNT)]
        try:
            found = extremes(self._reader, model, DEFAULT, "predicted_iou", pair=name, count=COUNT)
        except InputError:  # no board, or none with this model
            return []
        wanted = found.best if which == BEST else found.worst
        return [
            (f"{100 * one.dice:.2f} · {one.image_id}", f"{one.object_index}:{one.image_id}")
            for one in wanted
            if self._samples.shows(one.source)
        ]


def picked(value: str) -> tuple[str, int | None]:
    """The image's id and the object's place that a choice stands for."""
    place, _, image_id = value.partition(":")
    return image_id, int(place) if place.isdigit() else None
