"""The base classifier and how it is evaluated: modes, batches, outputs, errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch

from sosmooth.sampling.execution import AS_GIVEN, Execution
from sosmooth.sampling.memory import is_out_of_memory, keep_freed_memory
from sosmooth.sampling.time_limit import TimeUp, time_limit

#: Takes a float tensor (batch, …), returns scores (batch, classes) or integer labels (batch,).
BaseClassifier = Callable[[torch.Tensor], torch.Tensor]

#: The label of an evaluation whose scores were NaN or infinite or whose label is none of the classes: it is no vote.
INVALID = -1


class ClassifierError(RuntimeError):
    """The classifier failed or broke its contract; the message says which and for which input."""


@contextmanager
def evaluation_mode(classifier: BaseClassifier) -> Iterator[None]:
    """Put a module in eval mode for the call and every part of it back in its mode afterwards."""
    if not isinstance(classifier, torch.nn.Module):
        yield
        return
    before = {module: module.training for module in classifier.modules()}
    try:
        classifier.eval()
        training = [
            name or "the module itself"
            for name, module in classifier.named_modules()
            if module.training
        ]
        if training:
            raise ClassifierError(
                f"the classifier is still in training mode after eval() ({training[0]}): its outputs would depend on the"
                " batch; let eval() reach every part of it"
            )
        yield
    finally:
        for module, was_training in before.items():
            module.training = was_training


class ExecutedClassifier(torch.nn.Module):
    """A base classifier called in a chosen way. It shares the module's weights, and lays them out as chosen, for good."""

    def __init__(self, classifier: BaseClassifier, execution: Execution, device: torch.device):
        super().__init__()
        self._device = device.type
        self._channels_last = execution.channels_last
        self._precision = (
            None if execution.precision is None else getattr(torch, execution.precision)
        )
        if execution.channels_last and isinstance(classifier, torch.nn.Module):
            # Torch's own annotations leave out this way to call `to`.
            classifier.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        if execution.compile:
            # CUDA graphs take the launches of small kernels off the host; elsewhere there are none.
            mode = "reduce-overhead" if device.type == "cuda" else None
            classifier = torch.compile(classifier, dynamic=False, mode=mode)
        self.classifier = classifier

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        if self._channels_last:
            points = points.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device, self._precision) if self._precision else nullcontext():
            return self.classifier(points)


def executed(
    classifier: BaseClassifier, execution: Execution, device: torch.device
) -> BaseClassifier:
    """The classifier, to be called in the way that `execution` says."""
    return (
        classifier if execution == AS_GIVEN else ExecutedClassifier(classifier, execution, device)
    )


class Evaluator:
    """Runs a base classifier in batches and returns labels.

    Args:
        one_shape: fill short batches up to `batch_size`, so that the classifier sees one shape.
    Attributes:
        batch_size: evaluations in one call of the classifier; halved when memory runs out.
        batch_timeout: seconds that one call may take; None: any number.
    """

    def __init__(
        self,
        classifier: BaseClassifier,
        num_classes: int,
        batch_size: int,
        *,
        one_shape: bool = False,
        batch_timeout: float | None = None,
    ):
        keep_freed_memory()
        self.batch_timeout = batch_timeout
        self._classifier = classifier
        self._num_classes = num_classes
        self._one_shape = one_shape
        self._dtype = dtype_of(classifier)
        self.batch_size = batch_size

    def labels(self, points: torch.Tensor) -> torch.Tensor:
        """The class of each point, int64 (batch,) on the device; `INVALID` where the scores were not finite."""
        parts, start = [], 0
        while start < len(points):
            part = points[start : start + self.batch_size]
            try:
                parts.append(
                    self._labels_of_batch(
                        part if self._dtype in (None, part.dtype) else part.to(self._dtype)
                    )
                )
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if self.batch_size == 1:
                    raise ClassifierError(
                        "memory ran out for a single evaluation; use a smaller classifier or input"
                    ) from error
                self.batch_size = max(1, min(self.batch_size, len(part)) // 2)
                if points.device.type == "cuda":
                    torch.cuda.empty_cache()
                continue
            start += len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _labels_of_batch(self, points: torch.Tensor) -> torch.Tensor:
        count, missing = len(points), self.batch_size - len(points)
        if self._one_shape and missing > 0:
            points = torch.cat([points, points[:1].expand(missing, *points.shape[1:])])
        output = output_of(self._classifier, points, self.batch_timeout)
        return checked_labels(output, len(points), self._num_classes)[:count]


def output_of(
    classifier: BaseClassifier, points: torch.Tensor, batch_timeout: float | None
) -> torch.Tensor:
    """What the classifier returns for a batch, unchecked.

    Raises:
        ClassifierError: it raised, or did not return within `batch_timeout` seconds (see `time_limit`). Running out of memory
            is raised as it comes.
    """
    shape = "×".join(map(str, points.shape))
    hung = (
        f"the classifier did not return from a batch of shape {shape} within {batch_timeout} seconds; allow it more"
        " (--timeout, batch_timeout), give it smaller batches, or mend it"
    )
    try:
        with time_limit(batch_timeout, f"sosmooth: {hung}"):
            return classifier(points)
    except TimeUp as error:
        raise ClassifierError(hung) from error
    except Exception as error:
        if is_out_of_memory(error):
            raise
        what = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
        raise ClassifierError(
            f"the classifier raised {type(error).__name__} on a batch of shape {shape}: {what}"
        ) from error


def checked_labels(output: object, batch: int, num_classes: int) -> torch.Tensor:
    """Labels from what a classifier returned: the first maximum of scores, or its own labels."""
    allowed = f"floating scores ({batch}, {num_classes}) or integer labels ({batch},)"
    if not isinstance(output, torch.Tensor):
        raise ClassifierError(
            f"the classifier returned {type(output).__name__}; it must return a tensor: {allowed}"
        )
    if output.is_floating_point() and tuple(output.shape) == (batch, num_classes):
        labels = output.argmax(1)
        # On the CPU one sum tells whether a score may not be finite; elsewhere asking would wait for the device.
        if output.device.type == "cpu" and math.isfinite(output.sum().item()):
            return labels
        finite = output.abs().amax(1) < torch.inf  # false for NaN too
        return labels.masked_fill_(~finite, INVALID)
    integer = not (output.is_floating_point() or output.is_complex() or output.dtype is torch.bool)
    if integer and tuple(output.shape) == (batch,):
        labels = output.long()
        return labels.masked_fill((labels < 0) | (labels >= num_classes), INVALID)
    raise ClassifierError(
        f"the classifier returned {output.dtype} of shape {tuple(output.shape)}; it must return {allowed}"
    )


def dtype_of(classifier: BaseClassifier) -> torch.dtype | None:
    """The precision of a module's parameters; None (leave the points as they are) for any other callable."""
    if isinstance(classifier, torch.nn.Module):
        for parameter in classifier.parameters():
            if parameter.is_floating_point():
                return parameter.dtype
    return None
