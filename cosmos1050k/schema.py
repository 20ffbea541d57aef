"""The row of the dataset, defined once: Arrow schema, `Features`, card and loading script derive from it.

One row is one 2D image with its label map. This module needs pyarrow alone, because the loading script takes
it along into environments where nothing else of the project is installed.
"""

import json
from typing import Any

import pyarrow as pa

#: Points stored with an object, of each sign (protocol, section 2).
POINTS = 5

#: An instance of so few pixels or fewer stays in its row and is not scored (protocol, section 1, step 8).
SMALL_AREA = 50

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_POINT = pa.list_(pa.int32(), 2)
_BOX = pa.list_(pa.int32(), 4)

#: One instance of one object: `values` are the region numbers whose union it is; box [x0, y0, x1, y1], both
#: ends inside; points (x, y). A negative point (-1, -1) is SAM's padding: the region around the object holds
#: nothing else.
OBJECT = pa.struct(
    [
        ("values", pa.list_(pa.uint8())),
        ("object", pa.string()),
        ("instance", pa.string()),
        ("pair", pa.string()),
        ("area", pa.int32()),
        ("box", _BOX),
        ("points_pos", pa.list_(_POINT, POINTS)),
        ("points_neg", pa.list_(_POINT, POINTS)),
    ]
)

#: Columns that hold an encoded picture (PNG, 8 bit).
IMAGE_COLUMNS = ("image", "mask")

_FIELDS = [
    ("image_id", pa.string()),
    ("image", _IMAGE),
    ("mask", _IMAGE),
    ("source", pa.string()),
    ("patient", pa.string()),
    ("case", pa.string()),
    ("slice_index", pa.int32()),
    ("view", pa.string()),
    ("modality", pa.string()),
    ("split", pa.string()),
    ("height", pa.int32()),
    ("width", pa.int32()),
    ("spacing_mm", pa.list_(pa.float32(), 2)),
    ("objects", pa.list_(OBJECT)),
    ("raw_sha256", pa.string()),
]

SPLITS = ("train", "validation", "test")


def _dtype(kind: pa.DataType) -> str:
    """The name that `datasets` gives an Arrow type; only the floats differ."""
    return {"float": "float32", "double": "float64"}.get(str(kind), str(kind))


def _feature(kind: pa.DataType) -> Any:
    """One Arrow type in the form of `Features.to_dict`."""
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    if pa.types.is_fixed_size_list(kind):
        return {"feature": _feature(kind.value_type), "length": kind.list_size, "_type": "Sequence"}
    if pa.types.is_list(kind):
        inner = _feature(kind.value_type)
        # A list of structs is a plain list: `Sequence` of a struct would turn it into a struct of lists.
        return [inner] if pa.types.is_struct(kind.value_type) else {"feature": inner, "_type": "Sequence"}
    return {"dtype": _dtype(kind), "_type": "Value"}


def features() -> dict[str, Any]:
    """The row as `datasets.Features.to_dict` writes it; `from_dict` of old and new versions reads it."""
    return {name: {"_type": "Image"} if name in IMAGE_COLUMNS else _feature(kind) for name, kind in _FIELDS}


def _yaml(kind: pa.DataType) -> dict[str, Any]:
    """One Arrow type in the card's YAML form, spelt (`sequence`) so that old and new `datasets` read it."""
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
        inner = kind.value_type
        if pa.types.is_struct(inner):
            return {"list": [{"name": field.name, **_yaml(field.type)} for field in inner]}
        body = _yaml(inner)
        content = body.get("dtype", body)
        length = {"length": kind.list_size} if pa.types.is_fixed_size_list(kind) else {}
        return {"sequence": content, **length}
    return {"dtype": _dtype(kind)}


def card_features() -> list[dict[str, Any]]:
    """The row as the `features` list of a dataset card's YAML header."""
    return [
        {"name": name, **({"dtype": "image"} if name in IMAGE_COLUMNS else _yaml(kind))}
        for name, kind in _FIELDS
    ]


#: The Arrow schema of a shard. Its metadata make every reader of `datasets` decode the pictures, card or no
#: card.
SCHEMA = pa.schema(_FIELDS, metadata={"huggingface": json.dumps({"info": {"features": features()}})})
