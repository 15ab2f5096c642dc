"""What a user gives to be sampled: inputs, their indices, and a device, each checked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from sosmooth._numbers import whole_number
from sosmooth.sampling.lattice import check_on_lattice


def checked_inputs(
    inputs: ArrayLike | torch.Tensor, *, channels_last: bool, lattice: float | None
) -> torch.Tensor:
    """Inputs as a float tensor (batch, …), left where they are.

    Args:
        inputs: float array or tensor (batch, …), finite.
        channels_last: whether they must be images (batch, channels, height, width).
        lattice: of which they must be multiples; None: they need not be.

    Raises:
        ValueError: they are something else.
    """
    batch: torch.Tensor = (
        inputs if isinstance(inputs, torch.Tensor) else torch.as_tensor(np.asarray(inputs))
    )
    if not batch.is_floating_point():
        raise ValueError(
            f"inputs must be floating point; got {batch.dtype}: divide 8-bit images by 255, and"
            " give sigma in that unit"
        )
    if batch.ndim < 2 or batch.numel() == 0:
        raise ValueError(
            "inputs must be a batch, first axis the inputs: (batch, …), none of them empty; got"
            f" {tuple(batch.shape)}"
        )
    if channels_last and batch.ndim != 4:
        raise ValueError(
            "channels_last is for images (batch, channels, height, width); got inputs"
            f" {tuple(batch.shape)}: leave it out"
        )
    finite = torch.isfinite(batch.flatten(1)).all(1)
    if not bool(finite.all()):
        raise ValueError(
            f"inputs must be finite; input {int((~finite).nonzero()[0])} of the batch holds NaN"
            " or infinity"
        )
    if lattice is not None:
        check_on_lattice(batch, lattice)
    return batch


def checked_indices(
    indices: Sequence[int] | NDArray[np.int64] | None, count: int
) -> NDArray[np.int64]:
    """Indices of `count` inputs, int64 (count,), distinct; None: 0, 1, 2, …

    Raises:
        ValueError: they are not distinct whole numbers in [0, 2^63), one for each input.
    """
    if indices is None:
        return np.arange(count)
    try:
        array = [
            whole_number("an index", index, least=0, below=2**63)
            for index in np.asarray(indices).tolist()
        ]
    except (TypeError, ValueError) as error:
        wrong = f" ({error})"
    else:
        if len(array) == count == len(set(array)):
            return np.array(array, dtype=np.int64)
        wrong = ""
    raise ValueError(
        f"indices must be {count} distinct whole numbers of at least 0, below 2^63, one per input;"
        f" got {' '.join(repr(indices).split())[:80]}{wrong}"
    )


def usable(device: str | torch.device) -> torch.device:
    """The device.

    Raises:
        ValueError: it is not available.
    """
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device {str(device)!r} is not available: {str(error).splitlines()[0]}"
        ) from error


def on_device(inputs: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Inputs in at least float32: noise is added in it, whatever the classifier's precision."""
    wide = (
        torch.promote_types(inputs.dtype, torch.float32) if device.type != "mps" else torch.float32
    )
    return inputs.to(device=device, dtype=wide)
