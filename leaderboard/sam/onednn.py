"""Linear layers in float32 by oneDNN, on CPUs where torch's own choice, MKL, runs at half its speed.

MKL takes its slow path on CPUs that are not Intel's. A copy in and out costs little beside thousands of rows.
"""

import torch
from torch import Tensor
from torch.nn import functional


def together(x: Tensor) -> Tensor:
    """x …×C as rows, in oneDNN's hands where it is to be used."""
    rows = x.reshape(-1, x.shape[-1])
    return rows.to_mkldnn() if _suits(rows) else rows


def linear(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`torch.nn.functional.linear` on what `together` gave."""
    if not rows.is_mkldnn:
        return functional.linear(rows, weight, bias)
    return functional.linear(rows, weight.to_mkldnn(), bias.to_mkldnn())


def apart(rows: Tensor) -> Tensor:
    """Back from oneDNN."""
    return rows.to_dense() if rows.is_mkldnn else rows


def _suits(rows: Tensor) -> bool:
    return (
        rows.is_cpu
        and rows.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and not torch.is_autocast_enabled("cpu")
        and not torch.is_grad_enabled()
    )
