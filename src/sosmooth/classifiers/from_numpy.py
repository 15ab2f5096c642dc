"""Classifiers that work on NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from sosmooth.sampling.memory import is_out_of_memory
from sosmooth.sampling.outputs import named_outputs


def from_numpy(f: Callable[[NDArray], ArrayLike]) -> Callable[[Tensor], Tensor]:
    """A base classifier made of a function on NumPy arrays, such as scikit-learn's `predict`.

    Args:
        f: floating (batch, …) → floating scores (batch, classes) or integer labels (batch,). It
            gets a copy of the inputs, which it may change.

    Returns:
        A function of tensors on any device; its result is on the device of its argument, labels as
        int64.

    Raises:
        ValueError: from the returned function: the result of `f` is neither floating nor integer.

    >>> brightest = from_numpy(lambda images: images.reshape(len(images), -1).argmax(axis=1))
    >>> brightest(torch.tensor([[0.0, 1.0], [1.0, 0.0]])).tolist()
    [1, 0]
    """

    def classify(inputs: Tensor) -> Tensor:
        returned = f(inputs.detach().cpu().numpy().copy())
        if isinstance(returned, tuple | Mapping) and named_outputs(returned):
            return cast(Tensor, returned)  # several outputs; the caller chooses one
        result = np.asarray(returned)
        if np.issubdtype(result.dtype, np.integer):
            result = result.astype(np.int64)
        elif not np.issubdtype(result.dtype, np.floating):
            raise ValueError(
                "a classifier must return floating scores or integer labels; got an array of"
                f" {result.dtype}"
            )
        return torch.from_numpy(np.ascontiguousarray(result)).to(inputs.device)

    return classify


class TensorsOrArrays:
    """A function of tensors or of NumPy arrays: its first call tells which.

    It gets a tensor. If it raises an exception for a tensor and takes an array, it gets arrays from
    then on. A function that takes both gets tensors; `from_numpy` gives it arrays.

    Args:
        f: as for `from_numpy`, or the same on tensors.
    """

    def __init__(self, f: Callable[[Any], Any]):
        self.f = f
        self._call: Callable[[Tensor], Tensor] | None = None

    def __call__(self, inputs: Tensor) -> Tensor:
        if self._call is not None:
            return self._call(inputs)
        before = inputs.clone()  # it may change them before it fails
        try:
            result = self.f(inputs)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            on_arrays = from_numpy(self.f)
            try:
                result = on_arrays(before)
            except Exception:
                raise error from None  # it takes neither: the first error is its own
            self._call = on_arrays
            return result
        self._call = self.f
        return result
