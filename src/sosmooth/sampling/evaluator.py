"""The base classifier and how it is evaluated: batches, outputs, errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch

from sosmooth._errors import in_users_code, text_of
from sosmooth.sampling.execution import AS_GIVEN, Execution
from sosmooth.sampling.memory import is_out_of_memory, keep_freed_memory
from sosmooth.sampling.outputs import as_tensor, described, named_outputs, without_trailing_ones
from sosmooth.sampling.time_limit import TimeUp, time_limit

#: Takes a float tensor (batch, …), returns scores (batch, classes) or integer labels (batch,),
#: perhaps with further axes of length 1 at the end.
BaseClassifier = Callable[[torch.Tensor], torch.Tensor]

#: The label of an evaluation that is no vote: a score is NaN or +inf, all scores are −inf, or the
#: label is not one of the classes.
INVALID = -1


class ClassifierError(RuntimeError):
    """The classifier failed or broke its contract; the message says which and for which input."""


class ExecutedClassifier(torch.nn.Module):
    """A base classifier that is called in a chosen way.

    It shares the module's weights, and it changes their layout permanently.

    Args:
        classifier: the base classifier.
        execution: how to call it.
        device: where it runs.
    """

    def __init__(self, classifier: BaseClassifier, execution: Execution, device: torch.device):
        super().__init__()
        self._device = device.type
        self._channels_last = execution.channels_last
        self._precision = (
            None if execution.precision is None else getattr(torch, execution.precision)
        )
        if execution.channels_last and isinstance(classifier, torch.nn.Module):
            # Torch's annotations leave out this way to call `to`.
            classifier.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        if execution.compile:
            # CUDA graphs launch small kernels without the host; other devices have no such graphs.
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


#: Makes points (batch, …) for the classifier, the same each time; the classifier may change them.
MakePoints = Callable[[], torch.Tensor]


@dataclass(frozen=True)
class _Answer:
    """Labels of a batch, and its scores where it has scores."""

    labels: torch.Tensor
    scores: torch.Tensor | None

    def copied(self) -> _Answer:
        """The answer with a copy of the scores: they may be a view of the points, or a buffer."""
        return _Answer(self.labels, None if self.scores is None else self.scores.clone())


class Evaluator:
    """Runs a base classifier in batches and returns labels.

    The classifier may change the points that it is given. They are made for it and used nowhere
    else. Points that a call may have changed are made again before the next call reads them.

    Args:
        classifier: the base classifier.
        num_classes: number of its classes.
        batch_size: evaluations in one call.
        one_shape: whether to fill short batches up to `batch_size`, so that the classifier sees one
            shape.
        batch_timeout: seconds that one call may take; None: no limit.
        examine: whether to evaluate the first batch again, and refuse a classifier that is not a
            function of one input.

    Attributes:
        num_classes: number of classes of the classifier.
        batch_size: evaluations in one call of the classifier; halved when memory runs out.
        batch_timeout: seconds that one call may take; None: no limit.
        examined: whether the first batch was evaluated again with the same answers.
    """

    def __init__(
        self,
        classifier: BaseClassifier,
        num_classes: int,
        batch_size: int,
        *,
        one_shape: bool = False,
        batch_timeout: float | None = None,
        examine: bool = False,
    ):
        keep_freed_memory()
        self.batch_timeout = batch_timeout
        self._classifier = classifier
        self.num_classes = num_classes
        self._one_shape = one_shape
        self._extremes: torch.Tensor | None = None  # of returned labels: −lowest, highest
        self.batch_size = batch_size
        self.examined = not examine

    def labels(self, make_points: MakePoints) -> torch.Tensor:
        """The class of each point, int64 (batch,) on the device; `INVALID`: no vote."""
        points = make_points()
        parts, start = [], 0
        while start < len(points):
            part = slice(start, start + self.batch_size)
            answer = self._answer_in_memory(points[part])
            if answer is not None and not self.examined:
                self.examined = self._is_function(answer.copied(), make_points()[part])
            if answer is None or not self.examined:
                # The call that failed may have changed some of the points.
                points = make_points()
                continue
            parts.append(answer.labels)
            start += len(answer.labels)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _answer_in_memory(self, points: torch.Tensor) -> _Answer | None:
        """The answer; None, with a smaller batch size from now on, if memory ran out."""
        try:
            return self._answer(points)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if self.batch_size == 1:
                raise ClassifierError(
                    "memory ran out for a single evaluation; use a smaller classifier or input"
                ) from error
        # Outside the except block the error, and the memory that its frames held, are free.
        self.batch_size = max(1, min(self.batch_size, len(points)) // 2)
        if points.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _answer(self, points: torch.Tensor) -> _Answer:
        count, missing = len(points), self.batch_size - len(points)
        if self._one_shape and missing > 0:
            points = torch.cat([points, points[:1].expand(missing, *points.shape[1:])])
        returned = output_of(self._classifier, points, self.batch_timeout)
        output = one_tensor(returned, len(points), self.num_classes)
        labels = checked_labels(output, len(points), self.num_classes)[:count]
        if output.is_floating_point():
            return _Answer(labels.to(points.device), output[:count])
        low, high = torch.aminmax(output.long())
        found = torch.stack([-low, high])
        self._extremes = found if self._extremes is None else torch.maximum(found, self._extremes)
        return _Answer(labels.to(points.device), None)

    def why_no_vote(self) -> str:
        """In words, what the classifier returned where its output was no vote."""
        if self._extremes is None:
            return "NaN, +inf or no finite score"
        minus_low, high = self._extremes.tolist()
        label = high if high >= self.num_classes else -minus_low
        return f"label {label}, which is not in 0…{self.num_classes - 1},"

    def _is_function(self, first: _Answer, points: torch.Tensor) -> bool:
        """Evaluate the points of an answer again; False if memory ran out.

        The last quarter of the batch is replaced. So the other answers also show whether they
        depend on the rest of the batch. The shape stays the same, and so does the rounding.

        Raises:
            ClassifierError: a label changes, or a score changes by more than rounding explains.
        """
        kept = max(1, 3 * len(points) // 4)
        others = points[:1].expand(len(points) - kept, *points.shape[1:])
        again = self._answer_in_memory(torch.cat([points[:kept], others]))
        if again is None:
            return False
        changed = _changed(first, again, kept)
        if not changed:
            return True
        if any(_changed(first, self._answer(points.clone()), kept) for _ in range(3)):
            raise ClassifierError(
                f"the classifier gives other answers for {changed} of {kept} points when it is"
                " asked again: it is not a fixed function, so nothing can be certified; likely"
                " causes: dropout or random augmentation that stays on in eval mode"
            )
        raise ClassifierError(
            f"the classifier gives other answers for {changed} of {kept} points when the rest of"
            " the batch changes: it is not a function of one input, so nothing can be certified;"
            " likely causes: batch statistics, as of BatchNorm in training mode, or of dynamic"
            " quantization"
        )


# As a fraction of the largest score. Rounding that differs from call to call changes scores by much
# less; dropout in a layer of some hundred features changes them by several times as much.
_SCORE_TOLERANCE = 0.01


def _changed(first: _Answer, again: _Answer, count: int) -> int:
    """How many of the first `count` points have another label, or clearly different scores."""
    other = (first.labels[:count] != again.labels[:count]).cpu()
    if first.scores is not None and again.scores is not None:
        before, after = (each[:count].cpu().double() for each in (first.scores, again.scores))
        votes = [(each.labels[:count] != INVALID).cpu() for each in (first, again)]
        both = votes[0] & votes[1]
        finite = before[both][before[both].isfinite()]
        largest = finite.abs().amax() if len(finite) else torch.zeros(())
        # Scores of −inf in both do not differ.
        difference = torch.where(before == after, 0.0, (after - before).abs())
        other |= (difference.amax(1) > _SCORE_TOLERANCE * largest) & both
    return int(other.sum())


def output_of(
    classifier: BaseClassifier, points: torch.Tensor, batch_timeout: float | None = None
) -> object:
    """What the classifier returns for a batch. Every call of a classifier goes through here.

    The classifier gets the points in the precision of its parameters and on their device, and it
    may change them. The result is not checked; only arrays become tensors.

    Args:
        classifier: the base classifier.
        points: (batch, …).
        batch_timeout: seconds that the call may take; None: no limit.

    Raises:
        ClassifierError: it raised, or did not return within `batch_timeout` seconds (see
            `time_limit`). An error of memory that ran out is raised unchanged.
    """
    shape = "×".join(map(str, points.shape))
    hung = (
        f"the classifier did not return from a batch of shape {shape} within {batch_timeout}"
        " seconds; allow more time with batch_timeout=…, use smaller batches, or correct the"
        " classifier"
    )
    try:
        with time_limit(batch_timeout, f"sosmooth: {hung}"):
            output = classifier(points_for(classifier, points))
    except TimeUp as error:
        raise ClassifierError(hung) from error
    except ClassifierError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ClassifierError(
            f"the classifier raised {type(error).__name__} on a batch of shape {shape}:"
            f" {text_of(error)}{in_users_code(error)}"
        ) from error
    array = as_tensor(output)
    return output if array is None else array


def one_tensor(output: object, batch: int, num_classes: int | str = "classes") -> torch.Tensor:
    """The scores (batch, classes) or integer labels (batch,) that a classifier returned.

    Axes of length 1 at the end are dropped: (batch, classes, 1, 1) are scores, (batch, 1) labels.

    Args:
        output: what it returned.
        batch: number of points.
        num_classes: number of classes; "classes": any number.

    Raises:
        ClassifierError: it returned something else.
    """
    allowed = f"floating scores ({batch}, {num_classes}) or integer labels ({batch},)"
    if not isinstance(output, torch.Tensor):
        found = named_outputs(output)
        several = f" of {len(found)} tensors ({described(found)})" if found else ""
        named = ", or name one of them by output=…" if found else ""
        raise ClassifierError(
            f"the classifier returned {type(output).__name__}{several}; it must return a tensor:"
            f" {allowed}{named}"
        )
    if unreadable := _unreadable(output):
        raise ClassifierError(f"the classifier returned {unreadable}; it must return {allowed}")
    tensor = without_trailing_ones(output)
    kind = kind_of(tensor, batch)
    if kind == "score":
        raise ClassifierError(
            f"the classifier returned one score for each input, {output.dtype} of shape"
            f" {tuple(output.shape)}; load it with single_score='probability' (class 1 above 0.5)"
            " or 'margin' (class 1 above 0), or let it return two scores: [1 - p, p] or [-s, s]"
        )
    if kind is None or (kind == "scores" and num_classes not in ("classes", tensor.shape[1])):
        raise ClassifierError(
            f"the classifier returned {output.dtype} of shape {tuple(output.shape)};"
            f" it must return {allowed}"
        )
    return tensor


def kind_of(tensor: torch.Tensor, batch: int) -> str | None:
    """What a tensor without trailing axes of length 1 can be for a batch.

    Returns:
        "scores" (batch, classes), "score" (batch,), "labels" (batch,), or None.
    """
    if tensor.ndim == 0 or len(tensor) != batch:
        return None
    if tensor.is_floating_point():
        return {1: "score", 2: "scores"}.get(tensor.ndim)
    integer = not (tensor.is_complex() or tensor.dtype is torch.bool)
    return "labels" if integer and tensor.ndim == 1 else None


def checked_labels(output: object, batch: int, num_classes: int) -> torch.Tensor:
    """Labels from what a classifier returned: the first maximum of scores, or its own labels.

    A score of −inf loses. The label is `INVALID` where a score is NaN or +inf, all scores are −inf,
    or a label is not one of the classes.

    Args:
        output: what the classifier returned.
        batch: number of points.
        num_classes: number of classes.

    Raises:
        ClassifierError: it returned neither scores of all classes nor labels.
    """
    tensor = one_tensor(output, batch, num_classes)
    if not tensor.is_floating_point():
        labels = tensor.long()
        return labels.masked_fill((labels < 0) | (labels >= num_classes), INVALID)
    labels = tensor.argmax(1)
    # On the CPU a finite sum proves that all scores are finite. Elsewhere reading it would wait for
    # the device.
    if tensor.device.type == "cpu" and math.isfinite(tensor.sum().item()):
        return labels
    # The largest score is NaN or +inf where any score is, and −inf where all are.
    return labels.masked_fill_(~torch.isfinite(tensor.amax(1)), INVALID)


def _unreadable(output: torch.Tensor) -> str | None:
    """Why the values of a tensor cannot be read directly, and what helps."""
    if output.is_meta:
        return "a meta tensor, which has no values (load its weights)"
    if output.is_quantized:
        return "a quantized tensor (call .dequantize())"
    if output.layout is not torch.strided:
        return f"a tensor of layout {output.layout} (call .to_dense())"
    if output.is_nested:
        return "a nested tensor (call torch.nested.to_padded_tensor)"
    return None


def points_for(classifier: BaseClassifier, points: torch.Tensor) -> torch.Tensor:
    """The points in the precision of a module's parameters, and on their device."""
    parameter = _first_parameter(classifier)
    return points if parameter is None else points.to(parameter)


def _first_parameter(classifier: BaseClassifier) -> torch.Tensor | None:
    parameters = classifier.parameters() if isinstance(classifier, torch.nn.Module) else ()
    return next((each for each in parameters if each.is_floating_point()), None)
