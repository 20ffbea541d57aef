"""Small click models, ONNX graphs whose answers can be told by hand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

#: What a disc is given inside and outside.
INSIDE, OUTSIDE = 0.875, 0.125

#: What every pixel is counted by.
ONE = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])

Size = tuple[int | str, int | str]


def discs(
    radius: float, size: Size = (48, 64), clicks: int | str = "clicks", **changes: Any
) -> onnx.ModelProto:
    """Discs around the positive clicks and the mask before, without discs around the negative clicks.

    Args:
        size: height and width; a text if the graph takes all.
        changes: `end`, more nodes that make `probabilities` of `levels`; `inputs`, other shapes by name;
            `outputs`, other shapes; `kinds`, of numbers other than float32.
    """
    constants = {
        "zero": np.float32(0), "half": np.float32(0.5), "square": np.float32(radius**2),
        "scale": np.float32(INSIDE - OUTSIDE), "shift": np.float32(OUTSIDE),
        "two_by": np.array([2, -1]),
        "first": np.array([0]), "second": np.array([1]), "column": np.array([-1, 1, 1]),
    }  # fmt: skip
    node = helper.make_node
    nodes = [
        # Rows and columns of every pixel: counted, so that any size will do.
        node("Shape", ["mask"], ["shape"]),
        node("ConstantOfShape", ["shape"], ["ones"], value=ONE),
        node("CumSum", ["ones", "axis_y"], ["ys"], exclusive=1),
        node("CumSum", ["ones", "axis_x"], ["xs"], exclusive=1),
        node("Squeeze", ["ys", "front"], ["y"]),
        node("Squeeze", ["xs", "front"], ["x"]),
        # p×1×1 of the clicks' places.
        node("Gather", ["clicks", "y_at"], ["cy"], axis=2),
        node("Gather", ["clicks", "x_at"], ["cx"], axis=2),
        node("Reshape", ["cy", "column"], ["py"]),
        node("Reshape", ["cx", "column"], ["px"]),
        node("Sub", ["y", "py"], ["dy"]),
        node("Sub", ["x", "px"], ["dx"]),
        node("Mul", ["dy", "dy"], ["dyy"]),
        node("Mul", ["dx", "dx"], ["dxx"]),
        node("Add", ["dyy", "dxx"], ["far"]),
        node("LessOrEqual", ["far", "square"], ["near"]),
        node("GreaterOrEqual", ["py", "zero"], ["there"]),
        node("And", ["near", "there"], ["disc"]),
        node("Cast", ["disc"], ["d"], to=TensorProto.FLOAT),
        # 2×p/2×H×W, then the most of each sign.
        node("Shape", ["y"], ["hw"]),
        node("Concat", ["two_by", "hw"], ["halves"], axis=0),
        node("Reshape", ["d", "halves"], ["signs"]),
        node("ReduceMax", ["signs"], ["most"], axes=[1], keepdims=0),
        node("Gather", ["most", "first"], ["positive"], axis=0),
        node("Gather", ["most", "second"], ["negative"], axis=0),
        node("Greater", ["mask", "half"], ["before"]),
        node("Cast", ["before"], ["b"], to=TensorProto.FLOAT),
        node("Max", ["positive", "b"], ["more"]),
        node("Sub", ["more", "negative"], ["less"]),
        node("Max", ["less", "zero"], ["found"]),
        node("Mul", ["found", "scale"], ["scaled"]),
        node("Add", ["scaled", "shift"], ["shifted"]),
        # The picture counts, too, though nothing of it.
        node("ReduceMean", ["image"], ["mean"], keepdims=0),
        node("Mul", ["mean", "zero"], ["none"]),
        node("Add", ["shifted", "none"], ["levels"]),
        *changes.get("end", [node("Identity", ["levels"], ["probabilities"])]),
    ]  # fmt: skip
    constants |= {
        "axis_y": np.array(2), "axis_x": np.array(3), "front": np.array([0, 1]),
        "y_at": np.array([0]), "x_at": np.array([1]),
    }  # fmt: skip
    height, width = size
    inputs: dict[str, Sequence[int | str]] = {
        "image": (1, 3, height, width), "mask": (1, 1, height, width), "clicks": (1, clicks, 3),
    }  # fmt: skip
    inputs |= changes.get("inputs", {})
    outputs = changes.get("outputs", {"probabilities": (1, 1, height, width)})
    kinds = dict.fromkeys((*inputs, *outputs), TensorProto.FLOAT) | changes.get("kinds", {})
    graph = helper.make_graph(
        nodes,
        "discs",
        [helper.make_tensor_value_info(name, kinds[name], shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kinds[name], shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def saved(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def mask_of_discs(
    clicks: Sequence[tuple[float, float, bool]],
    radius: float,
    size: tuple[int, int],
    before: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """What the graph answers to clicks (x, y, positive), by loops over clicks."""
    ys, xs = np.indices(size)
    found = np.zeros(size, bool) if before is None else before.copy()
    for x, y, positive in clicks:
        if positive:
            found |= (ys - y) ** 2 + (xs - x) ** 2 <= radius**2
    for x, y, positive in clicks:
        if not positive:
            found &= (ys - y) ** 2 + (xs - x) ** 2 > radius**2
    return found
