"""Why a submission is refused: a code for programs, and one line for people."""

from collections.abc import Mapping

from cosmos1050k.errors import InputError

CODES: Mapping[str, str] = {
    "declaration": "what is said of the model is incomplete or contradicts itself",
    "name-taken": "another model has that name",
    "hub": "the repository, its revision or its file can't be had",
    "too-large": "more bytes than are taken",
    "empty": "no bytes",
    "pickle": "a pickle or an archive, which is never opened",
    "no-safetensors": "no safetensors file",
    "header": "a header that is too large, too deep or no table of tensors",
    "duplicate-keys": "a header that names something twice",
    "layout": "tensors that overlap, leave holes or are of another size than their shape",
    "truncated": "another size than its header says",
    "tensors": "tensors that the architecture does not have, or too few",
    "shapes": "tensors of other shapes than the architecture's",
    "dtypes": "numbers of another type than F32, F16 or BF16",
    "not-finite": "NaN or an infinity among the weights",
    "quota": "the week's runs are used up",
    "too-many-open": "too many submissions that have not ended",
    "fails": "the model fails on every image of the quick check",
    "limit": "more time or memory than a run may take",
    "duplicate": "the same weights with the same declaration are there already",
}


class Refused(InputError):
    """A submission that is refused: `code` of `CODES`, and one line on what is wrong and what to do."""

    def __init__(self, code: str, text: str) -> None:
        assert code in CODES, code
        super().__init__(code, text)  # both, so that the exception survives pickling
        self.code, self.text = code, text

    def __str__(self) -> str:
        return self.text
