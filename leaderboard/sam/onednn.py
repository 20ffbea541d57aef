"""Linear layers in float32 on a CPU by oneDNN instead of torch's own choice, MKL.

On an AMD EPYC, with 4,096 rows, copies in and out included, it takes half the time (measured; no other CPU
was).
"""

import torch
from torch import Tensor
from torch.nn import functional


def together(x: Tensor) -> Tensor:
    """x …×C as rows, in oneDNN's hands where it is to be used."""
    rows = x.reshape(-1, x.shape[-1])
    return rows.to_mkldnn() if plain(rows) and torch.backends.mkldnn.is_available() else rows


def linear(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`torch.nn.functional.linear` on what `together` gave."""
    if not rows.is_mkldnn:
        return functional.linear(rows, weight, bias)
    return functional.linear(rows, weight.to_mkldnn(), bias.to_mkldnn())


def apart(rows: Tensor) -> Tensor:
    """Back from oneDNN."""
    return rows.to_dense() if rows.is_mkldnn else rows


def plain(x: Tensor) -> bool:
    """Whether x is on a CPU, in float32, and neither a gradient nor a compiler asks how it is used."""
    return (
        x.is_cpu
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
    )
