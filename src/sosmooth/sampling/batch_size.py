"""The search for a good batch size."""

from __future__ import annotations

import statistics
import time
from functools import partial

import torch

from sosmooth.sampling.evaluator import BaseClassifier, ClassifierError, Evaluator
from sosmooth.sampling.memory import is_out_of_memory


def find_batch_size(
    classifier: BaseClassifier,
    num_classes: int,
    like: torch.Tensor,
    *,
    batch_timeout: float | None = None,
) -> int:
    """A good number of evaluations for one call.

    It doubles the batch size as long as that helps, and takes the smallest size whose rate is
    within 5 % of the best one.

    Args:
        classifier: as for `Evaluator`.
        num_classes: as for `Evaluator`.
        like: one input, on the device.
        batch_timeout: as for `Evaluator`.
    """
    rates: dict[int, float] = {}
    size = 8
    while size * like.numel() * like.element_size() <= _LARGEST_BATCH_BYTES:
        evaluator = Evaluator(classifier, num_classes, size, batch_timeout=batch_timeout)
        try:
            seconds = _seconds_of(evaluator, like.expand(size, *like.shape))
        except ClassifierError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                break
            raise
        if evaluator.batch_size < size:
            break
        rates[size] = size / seconds
        best = max(rates.values())
        if seconds > 0.5 or (
            size >= 512
            and rates[size] < 1.02 * best
            and rates[size // 2] < 1.02 * best < 1.04 * rates[size // 4]
        ):
            break
        size *= 2
    best = max(rates.values(), default=0.0)
    return min((size for size, rate in rates.items() if rate >= 0.95 * best), default=1)


_LARGEST_BATCH_BYTES = 2**28


def _seconds_of(evaluator: Evaluator, points: torch.Tensor) -> float:
    """Seconds for one call: the median of several, without the first one."""
    calls: list[float] = []
    begun = time.perf_counter()
    while len(calls) < 3 or (len(calls) < 32 and time.perf_counter() - begun < _SECONDS_TO_MEASURE):
        start = time.perf_counter()
        # A copy, because the classifier may change its points. Sampling also makes them each time.
        evaluator.labels(partial(points.clone, memory_format=torch.contiguous_format))
        if points.device.type == "cuda":
            torch.cuda.synchronize(points.device)
        calls.append(time.perf_counter() - start)
        if calls[-1] > 0.5:
            break
    return statistics.median(calls[1:] or calls)


_SECONDS_TO_MEASURE = 0.1
