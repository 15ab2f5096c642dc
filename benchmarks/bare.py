"""The work that certifying always includes: draw, scale, add, classify, argmax; no counting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch

from sosmooth.sampling.evaluator import executed
from sosmooth.sampling.execution import Execution


class Bare:
    """The bare loop and its parts: `n0` independent samples, then `n` evaluations.

    With `sides` 2 the evaluations come in antithetic pairs, with 1 they are single. The device's
    generator draws the noise into the memory layout that the classifier wants.
    """

    def __init__(
        self,
        classifier: torch.nn.Module,
        x: torch.Tensor,
        *,
        sigma: float,
        n0: int,
        n: int,
        sides: int,
        execution: Execution,
    ):
        self._classifier = executed(classifier.eval(), execution, x.device)
        self._layout = torch.channels_last if execution.channels_last else torch.contiguous_format
        self._x, self._sigma, self._n0, self._n, self._sides = x, sigma, n0, n, sides

    def loop(self, batch_size: int) -> None:
        """Do all of it for one input."""
        with torch.inference_mode():
            for size, sides in self._batches(batch_size):
                self._classifier(self._points(self._drawn(size), sides)).argmax(1)

    def noise(self, batch_size: int) -> None:
        """Only draw the noise."""
        with torch.inference_mode():
            for size, _ in self._batches(batch_size):
                self._drawn(size)

    def classifier(self, batch_size: int) -> None:
        """Only classify and take the argmax, on one batch of noise that is already drawn."""
        with torch.inference_mode():
            points = self._points(self._drawn(batch_size), 1)
            for size, sides in self._batches(batch_size):
                self._classifier(points[: size * sides]).argmax(1)

    def warm_up(self, batch_size: int) -> None:
        """Call the classifier once with every shape: kernels are chosen and, if asked, compiled."""
        with torch.inference_mode():
            for size, sides in set(self._batches(batch_size)):
                self._classifier(self._points(self._drawn(size), sides)).argmax(1)

    def _batches(self, batch_size: int) -> Iterator[tuple[int, int]]:
        """The number of vectors and sides of each batch."""
        for vectors, sides in ((self._n0, 1), (self._n // self._sides, self._sides)):
            most = max(batch_size // sides, 1)
            for start in range(0, vectors, most):
                yield min(most, vectors - start), sides

    def _drawn(self, vectors: int) -> torch.Tensor:
        x = self._x
        return torch.empty(
            (vectors, *x.shape), device=x.device, memory_format=self._layout
        ).normal_()

    def _points(self, z: torch.Tensor, sides: int) -> torch.Tensor:
        plus = torch.add(self._x, z, alpha=self._sigma)
        return plus if sides == 1 else torch.cat([plus, torch.sub(self._x, z, alpha=self._sigma)])


def seconds(device: torch.device, work: Callable[[], object]) -> float:
    """Wall-clock seconds of `work`, including what it left running on the device."""
    _wait(device)
    begun = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - begun


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
