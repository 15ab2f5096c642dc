"""How good a classifier is on noisy copies of its inputs, before anything is certified.

Source: Sun, Mao, Müller, Vechev 2025, "Average Certified Radius is a Poor Metric for Randomized
Smoothing": the distribution of p̂ over the inputs says more than an average of radii.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sosmooth.diagnosis import Finding, Status
from sosmooth.measures import UNKNOWN_LABEL, fractions_above, most_by_guessing
from sosmooth.sampling.evaluator import INVALID, BaseClassifier, ClassifierError, Evaluator
from sosmooth.sampling.modes import EvaluationMode
from sosmooth.sampling.noise import Block, NoiseSource, Stage

#: Noisy copies of an input.
COPIES = 100
_CHOICE = 20
_BATCH = 1000
# A classifier whose commonest answer has more than this fraction is not what its user means to
# certify.
_ONE_ANSWER = 0.9


@dataclass(frozen=True)
class UnderNoise:
    """What a classifier says about noisy copies of some inputs.

    Attributes:
        labels: true classes, −1 = unknown, int64 (inputs,).
        clean: the classifier's answers without noise, int64 (inputs,).
        answers: those to the noisy copies, int64 (inputs, copies).
    """

    labels: NDArray[np.int64]
    clean: NDArray[np.int64]
    answers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def labelled(self) -> bool:
        """Whether every label is known."""
        return bool(np.all(self.labels != UNKNOWN_LABEL))

    @property
    def clean_accuracy(self) -> float:
        """The fraction of the inputs that get their label without noise."""
        return float(np.mean(self.clean == self.labels))

    @property
    def accuracy(self) -> float:
        """The fraction of the noisy copies that get their label."""
        return float(np.mean(self.answers == self.labels[:, None]))

    @property
    def p_estimate(self) -> NDArray[np.float64]:
        """p̂ of each input: the fraction of its copies that get its label, float64 (inputs,).

        Where labels are unknown: the fraction of the others that get the commonest answer to the
        first `_CHOICE` copies.
        """
        if self.labelled:
            return np.mean(self.answers == self.labels[:, None], axis=1)
        chosen = [np.argmax(np.bincount(row[:_CHOICE])) for row in self.answers]
        return np.mean(self.answers[:, _CHOICE:] == np.array(chosen)[:, None], axis=1)

    def commonest(self) -> tuple[int, float]:
        """The commonest answer to all copies, and its fraction of them."""
        counts = np.bincount(self.answers.ravel())
        return int(np.argmax(counts)), float(np.max(counts) / self.answers.size)


def answers_under_noise(
    classifier: BaseClassifier,
    get: Callable[[Sequence[int]], NDArray[np.float32]],
    labels: NDArray[np.int64],
    *,
    sigma: float,
    num_classes: int,
    device: str | torch.device = "cpu",
    seed: int = 0,
    seconds: float = 10.0,
) -> UnderNoise:
    """The answers to noisy copies of inputs, until the time is up.

    Args:
        classifier: as for `SmoothedClassifier`.
        get: indices → inputs, float32 (batch, …).
        labels: of the inputs, in the order to take them, int64 (inputs,); −1 = unknown.
        sigma: noise level, input units.
        num_classes: number of classes.
        device: where the classifier runs.
        seed: of the noise.
        seconds: after which no further input is begun.

    Returns:
        The answers to `COPIES` copies of each input that was begun.

    Raises:
        ClassifierError: the classifier raised, or an output was no vote.
    """
    where = torch.device(device)
    evaluator = Evaluator(classifier, num_classes, _BATCH)
    source = NoiseSource(seed, where)
    clean, answers, begun = [], [], time.monotonic()
    with torch.inference_mode(), EvaluationMode(classifier):
        for k in range(len(labels)):
            if k and time.monotonic() - begun > seconds:
                break
            x = torch.as_tensor(get([k])).to(where)
            noise = torch.empty((COPIES, *x.shape[1:]), device=where)
            source.fill(noise, Block(0, k, Stage.SELECTION, 0, COPIES))
            points = torch.cat([x, torch.add(x, noise, alpha=sigma)])
            found = evaluator.labels(points.clone).cpu().numpy()
            if np.any(found == INVALID):
                raise ClassifierError("an output is no vote: NaN, +inf or no finite score")
            clean.append(found[0])
            answers.append(found[1:])
    return UnderNoise(labels[: len(clean)], np.array(clean), np.stack(answers))


def findings_under_noise(found: UnderNoise, num_classes: int) -> Iterator[Finding]:
    """What to say of the answers: the accuracies, and the distribution of p̂ over the inputs.

    Args:
        found: of at least one input.
        num_classes: number of classes.
    """
    answer, fraction = found.commonest()
    on = f"{len(found)} inputs, {COPIES} noisy copies each"
    said = f"the commonest answer under noise is class {answer} ({_percent(fraction)})"
    figures = {"inputs": len(found), "commonest_answer": answer, "commonest_fraction": fraction}
    one_answer = num_classes > 1 and fraction > _ONE_ANSWER
    if found.labelled:
        figures |= {"clean_accuracy": found.clean_accuracy, "accuracy": found.accuracy}
        accuracy = f"{_percent(found.clean_accuracy)} clean, {_percent(found.accuracy)} under noise"
        one_answer = one_answer and float(np.mean(found.labels == answer)) <= fraction / 2
        guesses = found.clean_accuracy <= most_by_guessing(num_classes)
        text = f"{accuracy} ({on}); {said}"
        if guesses:
            text += "; that is guessing: are inputs and classes those it was trained on?"
    else:
        guesses, text = False, f"unknown, as labels are ({on}); {said}"
    if one_answer and not guesses:
        text += "; it gives nearly all copies one answer: is sigma larger than it was trained for?"
    status = Status.WARNING if guesses or one_answer else Status.OK
    yield Finding("accuracy", status, text, figures)
    above = fractions_above(found.p_estimate)
    of = "its label" if found.labelled else "their commonest answer"
    listed = ", ".join(f"> {level}: {percentage}" for level, percentage in above.items())
    yield Finding(
        "distribution of p̂",
        Status.OK,
        f"fractions of the inputs by p̂, the part of an input's copies that get {of}: {listed}",
        {"p_estimates": np.sort(found.p_estimate).tolist()},
    )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"
