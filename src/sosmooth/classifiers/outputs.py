"""Which output of a classifier classifies, and how a single score is read.

Nothing is guessed. The user names an output, or its name or shape leaves no choice, or the
classifier is refused with the list of its outputs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sosmooth.sampling.evaluator import ClassifierError, one_tensor
from sosmooth.sampling.outputs import as_tensor, described, named_outputs, without_trailing_ones

#: How a single score is read: class 1 where it is above this.
THRESHOLDS = {"probability": 0.5, "margin": 0.0}

_SCORES = re.compile(r"(.*[./:])?(output_)?(logits?|scores?|prob|probs|probabilit(y|ies))", re.I)
_LABELS = re.compile(r"(.*[./:])?(output_)?(labels?|classes|predictions?)", re.I)
_FEATURES = re.compile(r"feat|embed|hidden|pool|box|aux", re.I)


@dataclass(frozen=True)
class Output:
    """One output of a classifier.

    Attributes:
        name: of the output.
        shape: the first axis is the batch; None or a name for an unknown length.
        kind: "float", "integer" or "other".
        text: how to show it.
        ranked: whether it holds the largest scores, sorted, whose positions are no classes.
    """

    name: str
    shape: tuple[int | str | None, ...]
    kind: str
    text: str
    ranked: bool = False

    @property
    def role(self) -> str | None:
        """What it can hold: "scores", one "score" an input, "labels", or None."""
        tail = list(self.shape[1:])
        while tail and tail[-1] == 1:
            tail.pop()
        if not self.shape or self.ranked or len(tail) > 1:
            return None
        if self.kind == "float":
            return "scores" if tail else "score"
        return "labels" if self.kind == "integer" and not tail else None

    @property
    def num_classes(self) -> int | None:
        """How many scores it has; None where that is unknown, and for labels."""
        width = {"scores": self.shape[1:2], "score": (1,)}.get(self.role or "", (None,))[0]
        return width if isinstance(width, int) else None


@dataclass(frozen=True)
class Wanted:
    """What the user says of a classifier's outputs; None: nothing.

    Attributes:
        output: name or position of the output that classifies.
        single_score: how a single score is read: a key of `THRESHOLDS`.
        num_classes: how many scores the output should have.
    """

    output: str | None = None
    single_score: str | None = None
    num_classes: int | None = None


def chosen(
    outputs: Sequence[Output], asked: str | None, num_classes: int | None
) -> tuple[Output, str | None]:
    """The output that classifies.

    Args:
        outputs: all of the classifier.
        asked: the name of the output, or its position from 0; None: not named.
        num_classes: how many scores it should have; None: unknown.

    Returns:
        The output, and one line on why it was chosen; None where there was nothing to choose.

    Raises:
        ValueError: no such output, an output that cannot classify, or several that could.
    """
    listed = ", ".join(f"{each.name} {each.text}" for each in outputs)
    wanted = "scores (batch, classes) or labels (batch,)"
    if asked is not None:
        found = [each for each in outputs if each.name == asked]
        if not found and asked.isdecimal():
            found = list(outputs[int(asked) : int(asked) + 1])
        if not found:
            raise ValueError(f"the classifier has no output {asked!r}; it returns {listed}")
        if found[0].role is None:
            why = ", the largest scores sorted," if found[0].ranked else ""
            raise ValueError(
                f"the output {found[0].name} {found[0].text}{why} is neither {wanted}; the"
                f" classifier returns {listed}"
            )
        return found[0], None
    if len(outputs) == 1:
        if outputs[0].role is None:
            why = " (the largest scores, sorted: their positions are not classes)"
            raise ValueError(
                f"the classifier returns {listed}{why if outputs[0].ranked else ''}; it must return"
                f" {wanted}"
            )
        return outputs[0], None
    candidates = [each for each in outputs if each.role and not _is_ranking(each, outputs)]
    taken, why = _without_choice(candidates, num_classes)
    if taken is None:
        raise ValueError(
            f"the classifier returns {len(outputs)} outputs, and it is not clear which of them"
            f" holds {wanted}: {listed}; give its name or its position by output=…"
        )
    return taken, (
        f"the classifier returns {listed}; {taken.name} is taken for {why} (output=… names another)"
    )


def _without_choice(
    candidates: Sequence[Output], num_classes: int | None
) -> tuple[Output | None, str]:
    """The one candidate whose name or shape leaves no choice, and which of the two decides."""
    named = [each for each in candidates if each.role != "labels" and _SCORES.fullmatch(each.name)]
    if len(named) == 1:
        return named[0], "its name"
    scores = [each for each in candidates if each.role == "scores"]
    fitting = [each for each in scores if each.shape[1] == num_classes]
    if len(fitting) == 1:
        return fitting[0], "its shape"
    if len(scores) == 1 and not _FEATURES.search(scores[0].name):
        return scores[0], "its shape"
    labels = [each for each in candidates if each.role == "labels" and _LABELS.fullmatch(each.name)]
    if not scores and not named and len(labels) == 1:
        return labels[0], "its name"
    return None, ""


def _is_ranking(output: Output, outputs: Sequence[Output]) -> bool:
    """Whether an output comes with indices of the same shape, as from topk and max."""
    kinds = {each.kind for each in outputs if each.shape == output.shape}
    return {"float", "integer"} <= kinds


def outputs_of(returned: object) -> list[Output]:
    """The outputs in what a classifier returned for a batch.

    Args:
        returned: a tensor, or tensors in tuples, dictionaries or attributes, also nested.
    """
    return [
        Output(
            name,
            tuple(tensor.shape),
            _kind_of(tensor.dtype),
            described({"": tensor}).strip(),
        )
        for name, tensor in named_outputs(returned).items()
    ]


def _kind_of(dtype: torch.dtype) -> str:
    if dtype.is_floating_point:
        return "float"
    return "other" if dtype.is_complex or dtype is torch.bool else "integer"


class OneOutput(nn.Module):
    """A classifier with several outputs, reduced to one of them.

    Args:
        classifier: returns several outputs.
        output: the name of one, or its position from 0.
    """

    def __init__(self, classifier: Callable[[Tensor], object], output: str):
        super().__init__()
        self.classifier = classifier
        self.output = output

    def forward(self, points: Tensor) -> Tensor:
        found = named_outputs(self.classifier(points))
        if self.output in found:
            return found[self.output]
        if self.output.isdecimal() and int(self.output) < len(found):
            return list(found.values())[int(self.output)]
        raise ValueError(
            f"the classifier has no output {self.output!r}; it returns {described(found)}"
        )


class TwoScores(nn.Module):
    """A classifier of one score s an input, read as a classifier of two classes.

    It returns the scores [t − s, s − t]: class 1 wins where s is above the threshold t.

    Args:
        classifier: returns one score per input.
        single_score: a key of `THRESHOLDS`, which gives t.
    """

    def __init__(self, classifier: Callable[[Tensor], object], single_score: str):
        super().__init__()
        self.classifier = classifier
        self.threshold = threshold_of(single_score)

    def forward(self, points: Tensor) -> Tensor:
        returned = self.classifier(points)
        score = returned if isinstance(returned, Tensor) else as_tensor(returned)
        if score is None:
            return one_tensor(returned, len(points))  # says what came
        score = without_trailing_ones(score)
        if not score.is_floating_point() or score.shape != (len(points),):
            raise ClassifierError(
                f"single_score is for one floating score per input, ({len(points)}, 1); the"
                f" classifier returned {described({'': score}).strip()}: leave it out"
            )
        return torch.stack([self.threshold - score, score - self.threshold], dim=1)


def threshold_of(single_score: str) -> float:
    """The threshold above which a single score means class 1.

    Args:
        single_score: a key of `THRESHOLDS`.

    Raises:
        ValueError: there is no such key.
    """
    if single_score not in THRESHOLDS:
        raise ValueError(
            f"single_score must be {' or '.join(map(repr, THRESHOLDS))}; got {single_score!r}"
        )
    return THRESHOLDS[single_score]


def reading_note(single_score: str) -> str:
    """One line on how a single score is read."""
    return (
        f"the classifier returns one score per input, which is read as a {single_score}: class 1"
        f" above {threshold_of(single_score):g}, else class 0 (single_score=… says otherwise)"
    )
