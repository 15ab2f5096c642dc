"""One evaluation settles what the files of a classifier leave open.

That is: which of its outputs is meant, how a single score is read, and how many classes there are.
The answers become a part of the specification, so that a classifier opened from it needs no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from sosmooth._spec_options import with_option
from sosmooth.classifiers.loaded import LoadedClassifier
from sosmooth.classifiers.outputs import OneOutput, TwoScores, chosen, outputs_of, reading_note
from sosmooth.sampling.evaluator import (
    ClassifierError,
    checked_labels,
    kind_of,
    one_tensor,
    output_of,
)
from sosmooth.sampling.memory import is_out_of_memory
from sosmooth.sampling.modes import EvaluationMode
from sosmooth.sampling.outputs import without_trailing_ones
from sosmooth.sampling.time_limit import TimeUp, check_timeout


def settled(
    classifier: LoadedClassifier,
    points: torch.Tensor,
    *,
    num_classes: int | None = None,
    likely_classes: int | None = None,
    batch_timeout: float | None = None,
    batch_size: int | None = None,
) -> LoadedClassifier:
    """The classifier with one output, two or more classes, and their number.

    Args:
        classifier: as `open_classifier` returns it.
        points: one input or two, on the CPU.
        num_classes: of the classifier, if the user says it.
        likely_classes: of the data; used if the classifier itself does not say.
        batch_timeout: as for `SmoothedClassifier`.
        batch_size: as for `SmoothedClassifier`.

    Raises:
        ClassifierError: the classifier raised an exception, or returned neither scores nor labels,
            or several outputs of which none is clearly meant.
        ValueError: the number of classes is unknown.
    """
    if classifier.settled:
        return classifier
    check_timeout(batch_timeout)
    points = points[:batch_size]
    with EvaluationMode(classifier.classifier), torch.inference_mode():
        returned = _first_evaluation(classifier.classifier, points, batch_timeout)
        own = num_classes or classifier.num_classes
        classifier = _with_one_output(classifier, returned, own or likely_classes)
        returned = output_of(classifier.classifier, points.clone(), batch_timeout)
        if _is_single_score(returned, len(points)):
            classifier = _with_two_scores(classifier, points)
            returned = output_of(classifier.classifier, points.clone(), batch_timeout)
        tensor = one_tensor(returned, len(points))
        scores = tensor.shape[1] if tensor.is_floating_point() else None
        count = num_classes or scores or classifier.num_classes or likely_classes
        if count is None:
            raise ValueError(
                "the number of classes is unknown, because the classifier returns labels; give"
                " num_classes=…"
            )
        checked_labels(tensor, len(points), count)
    return replace(classifier, num_classes=count, settled=True)


def _first_evaluation(
    classifier: Callable[..., Any],
    points: torch.Tensor,
    batch_timeout: float | None,
) -> object:
    """What the classifier returns; if it works for one input only, the error says so."""
    try:
        returned = output_of(classifier, points.clone(), batch_timeout)
        if not _has_batch(returned, len(points)) and _takes_one(classifier, points, batch_timeout):
            raise ClassifierError("its outputs do not have the batch as their first axis")
        return returned
    except Exception as error:
        if is_out_of_memory(error):
            raise ClassifierError(
                f"memory ran out for {len(points)} evaluations; use a smaller classifier or input"
            ) from error
        hung = isinstance(error.__cause__, TimeUp)
        if not hung and _takes_one(classifier, points, batch_timeout):
            raise ClassifierError(
                f"the classifier takes one input at a time; give batch_size 1 ({error})"
            ) from error
        raise


def _takes_one(
    classifier: Callable[..., Any], points: torch.Tensor, batch_timeout: float | None
) -> bool:
    """Whether the classifier fails for several inputs, and not for one."""
    if len(points) == 1:
        return False
    try:
        return _has_batch(output_of(classifier, points[:1].clone(), batch_timeout), 1)
    except Exception:
        return False


def _has_batch(returned: object, batch: int) -> bool:
    return any(each.shape[:1] == (batch,) for each in outputs_of(returned))


def _with_one_output(
    classifier: LoadedClassifier, returned: object, num_classes: int | None
) -> LoadedClassifier:
    if isinstance(returned, torch.Tensor):
        return classifier
    outputs = outputs_of(returned)
    if not outputs:
        one_tensor(returned, 1)  # says what came
    try:
        output, why = chosen(outputs, None, num_classes)
    except ValueError as error:
        raise ClassifierError(str(error)) from None
    return replace(
        classifier,
        classifier=OneOutput(classifier.classifier, output.name).eval(),
        settings=_with_setting(classifier, "output", output.name),
        notes=(*classifier.notes, *([why] if why else [])),
    )


def _is_single_score(returned: object, batch: int) -> bool:
    return (
        isinstance(returned, torch.Tensor)
        and kind_of(without_trailing_ones(returned), batch) == "score"
    )


def _with_two_scores(classifier: LoadedClassifier, points: torch.Tensor) -> LoadedClassifier:
    reading = classifier.single_score or _reading_of(classifier.classifier, points)
    if reading is None or reading == "unknown":
        one_tensor(output_of(classifier.classifier, points.clone()), len(points))  # says what to do
    return replace(
        classifier,
        classifier=TwoScores(classifier.classifier, str(reading)).eval(),
        num_classes=2,
        settings=_with_setting(classifier, "single_score", str(reading)),
        notes=(*classifier.notes, reading_note(str(reading))),
    )


def _with_setting(classifier: LoadedClassifier, name: str, value: str) -> dict[str, Any]:
    spec = with_option(classifier.settings["spec"], name, value)
    return {**classifier.settings, name: value, "spec": spec}


# Operations that only move numbers, as autograd names them.
_MOVES = ("View", "UnsafeView", "Squeeze", "Unsqueeze", "Alias", "ReshapeAlias", "Select", "Slice",
          "ToCopy", "Clone", "T", "Transpose", "Permute", "Expand")  # fmt: skip
_LINEAR = ("Addmm", "Mm", "Bmm", "Linear", "MkldnnLinear", "Convolution")


def _reading_of(classifier: Callable[..., Any], points: torch.Tensor) -> str | None:
    """How a single score is read, by the last operation that autograd recorded.

    A sigmoid gives a probability; a linear layer, also with a bias, a margin. None: another
    operation.
    """
    with torch.inference_mode(False), torch.enable_grad():
        at = points.clone().requires_grad_()
        returned = output_of(classifier, at.clone())  # a leaf could not be changed in place
        step = returned.grad_fn if isinstance(returned, torch.Tensor) else None
        while step is not None and _operation(step) in _MOVES and step.next_functions:
            step = step.next_functions[0][0]
    if step is None:
        return None
    if _operation(step) == "Sigmoid":
        return "probability"
    last = [_operation(step)]
    if last == ["Add"]:
        last = [_operation(before) for before, _ in step.next_functions]
    return "margin" if any(each in _LINEAR for each in last) else None


def _operation(step: Any) -> str:
    return "" if step is None else step.name().partition("Backward")[0]
