"""Gradient attacks on the smoothed classifier.

Projected gradient descent goes through many noise samples; then fresh samples judge the point.
Source: Salman et al. 2019, "Provably robust deep learning via adversarially trained smoothed
classifiers" (the loss `−log mean softmax f(x + ε)`); Madry et al. 2018, "Towards deep learning
models resistant to adversarial attacks" (PGD).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from sosmooth._numbers import whole_number
from sosmooth.measures import ABSTAINED
from sosmooth.sampling.evaluator import BaseClassifier, one_tensor, output_of
from sosmooth.sampling.modes import EvaluationMode
from sosmooth.smoothed import SmoothedClassifier

# Length of a PGD step, relative to the step with which all steps together cross the radius of the
# ball. This is the usual choice.
_STEP_SHARE = 2.5
# Votes say less about the slope than scores do, and they cost less.
_PAIRS_PER_SAMPLE = 8


@dataclass(frozen=True)
class AttackSettings:
    """How hard to try, and how the result is judged.

    Attributes:
        steps: gradient steps for each size, at least 1.
        samples: noise samples of one gradient, at least 2.
        sizes: distances to search at, in certified radii, ascending; the first lies inside.
        bisections: halvings of the way to the closest adversarial point.
        judge_n: samples that judge a point.
        judge_alpha: failure probability of one judgement.
        seed: of the noise of the attack and of the judgement.

    Raises:
        ValueError: a number is out of range, or the sizes do not ascend.
    """

    steps: int = 20
    samples: int = 64
    sizes: tuple[float, ...] = (0.99, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
    bisections: int = 8
    judge_n: int = 10_000
    judge_alpha: float = 1e-6
    seed: int = 0

    def __post_init__(self):
        least = {"steps": 1, "samples": 2, "bisections": 0, "judge_n": 1, "seed": 0}
        for name, lowest in least.items():
            number = whole_number(name, getattr(self, name), least=lowest, below=2**64)
            object.__setattr__(self, name, number)
        if not self.sizes or not all(
            0 < a < b for a, b in zip(self.sizes, (*self.sizes[1:], np.inf), strict=True)
        ):
            raise ValueError(f"sizes must be positive and in ascending order; got {self.sizes}")


@dataclass(frozen=True)
class Attacked:
    """What an attack on one certificate found.

    Attributes:
        closest: l2 distance of the closest adversarial point found, input units; `inf`: none found.
        found: its class; −1: none found.
        judged: points judged.
        inside: how many of them lie within the radius and have another class than the certified
            one.
    """

    closest: float
    found: int
    judged: int
    inside: int


def attack(
    smoothed: SmoothedClassifier,
    x: torch.Tensor,
    prediction: int,
    radius: float,
    settings: AttackSettings | None = None,
    *,
    progress: Callable[[int], None] = lambda searches: None,
) -> Attacked:
    """Search points close to `x` where the smoothed classifier does not give the certified class.

    PGD searches a ball just inside the radius, then larger and larger balls, until a point is
    judged adversarial. Then bisection searches the way to that point. Every judgement draws fresh
    noise.

    Args:
        smoothed: the classifier that was certified.
        x: the input, on any device, float.
        prediction: its certified class.
        radius: its certified radius, input units, positive and finite.
        settings: how hard to try; None: the defaults.
        progress: called with the number of balls just searched or found unnecessary; they add up to
            the number of sizes.

    Returns:
        The closest adversarial point found, and how many were found inside.

    Raises:
        ValueError: radius or prediction is out of range.
        ClassifierError: the classifier raised an error or gave no vote.

    Guarantee:
        A point counts as adversarial only if `predict` says so. That is wrong with probability at
        most `judge_alpha` for each point. If no point is found, this proves nothing.
    """
    settings = settings or AttackSettings()
    if not (0 < radius < np.inf and 0 <= prediction < smoothed.num_classes):
        raise ValueError(
            f"prediction must be one of the {smoothed.num_classes} classes, and radius positive and"
            f" finite; got {prediction} and {radius}"
        )
    x = x.detach().to(smoothed.device, torch.promote_types(x.dtype, torch.float32))
    judge = _Judge(smoothed, x, prediction, radius, settings)
    generator = torch.Generator().manual_seed(settings.seed)
    for searched, size in enumerate(settings.sizes, 1):
        far = descended(smoothed, x, prediction, size * radius, settings, generator)
        found = judge.adversarial(far)
        progress(1)
        if found:
            progress(len(settings.sizes) - searched)
            break
    else:
        return judge.result()
    low, high = 0.0, 1.0
    for _ in range(settings.bisections):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if judge.adversarial(x + middle * (far - x)) else (middle, high)
    return judge.result()


class _Judge:
    """Judges points by fresh samples and keeps the closest adversarial one."""

    def __init__(
        self,
        smoothed: SmoothedClassifier,
        x: torch.Tensor,
        prediction: int,
        radius: float,
        settings: AttackSettings,
    ):
        self._smoothed, self._x, self._prediction, self._radius = smoothed, x, prediction, radius
        self._settings = settings
        self._closest, self._found, self._judged, self._inside = float("inf"), ABSTAINED, 0, 0

    def adversarial(self, point: torch.Tensor) -> bool:
        """Whether the smoothed classifier's class at the point is significantly another one."""
        point = on_lattice(self._smoothed, self._x, point)
        distance = distance_between(point, self._x)
        # A few samples decide most points; each of the two looks takes half of the failure
        # probability.
        for n in (max(self._settings.judge_n // 10, 1), self._settings.judge_n):
            # Not the noise of the search, nor of another judgement, since the points depend on
            # both.
            seed = (self._settings.seed << 32) + 2 * self._judged + (n == self._settings.judge_n)
            found = int(
                self._smoothed.predict(
                    point[None], n=n, alpha=self._settings.judge_alpha / 2, seed=seed % 2**64
                )[0]
            )
            if found != ABSTAINED:
                break
        self._judged += 1
        if found in (ABSTAINED, self._prediction):
            return False
        self._inside += distance <= self._radius
        if distance < self._closest:
            self._closest, self._found = distance, found
        return True

    def result(self) -> Attacked:
        return Attacked(self._closest, self._found, self._judged, self._inside)


def descended(
    smoothed: SmoothedClassifier,
    x: torch.Tensor,
    label: int,
    size: float,
    settings: AttackSettings,
    generator: torch.Generator,
) -> torch.Tensor:
    """The end of the descent in the ball: by the gradient of the scores, or else of the votes.

    Args:
        smoothed: the classifier.
        x: the input, float, on its device.
        label: the class whose probability falls.
        size: l2 radius of the ball, input units; the end lies on its surface.
        settings: steps and samples.
        generator: of the noise, on the CPU.
    """
    with EvaluationMode(smoothed.base_classifier):
        gradient, samples = _gradient_of(
            smoothed.base_classifier, x, smoothed.sigma, settings.samples
        )
        delta = torch.zeros_like(x)
        step = _STEP_SHARE * size / settings.steps
        for _ in range(settings.steps):
            noise = (
                torch.empty((samples, *x.shape)).normal_(generator=generator).to(x.device, x.dtype)
            )
            slope = gradient(x + delta, noise, label)
            length = norm_of(slope)
            # All samples agree, or the score of the class is −inf: every direction is as good.
            if not 0 < length < np.inf:
                slope, length = noise[0], norm_of(noise[0])
            delta = delta - step / length * slope
            delta = delta * min(1.0, size / max(norm_of(delta), 1e-30))
    return x + delta * (size / max(norm_of(delta), 1e-30))


def _gradient_of(
    classifier: BaseClassifier, x: torch.Tensor, sigma: float, samples: int
) -> tuple[Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor], int]:
    """`(point, noise, label) → gradient` of the loss, and how many noise vectors it takes.

    The loss is the log-probability of the class, `log mean softmax f(x + ε)`, or its part of the
    votes.
    """

    def outputs(points: torch.Tensor) -> torch.Tensor:
        return one_tensor(output_of(classifier, points), len(points))

    def by_scores(point: torch.Tensor, noise: torch.Tensor, label: int) -> torch.Tensor:
        with torch.enable_grad():
            at = point.clone().requires_grad_()
            scores = torch.log_softmax(outputs(at + sigma * noise).double(), dim=1)
            loss = torch.logsumexp(scores[:, label], dim=0)
            return torch.autograd.grad(loss, at)[0]

    def by_votes(point: torch.Tensor, noise: torch.Tensor, label: int) -> torch.Tensor:
        return pair_slope(classifier, point, noise, sigma, label)

    with torch.enable_grad():
        at = x[None].clone().requires_grad_()
        tried = outputs(at.clone())  # a leaf could not be changed in place
        if not (tried.is_floating_point() and tried.requires_grad):
            return by_votes, _PAIRS_PER_SAMPLE * samples
        through = torch.autograd.grad(tried.sum(), at, allow_unused=True)[0] is not None
    return (by_scores, samples) if through else (by_votes, _PAIRS_PER_SAMPLE * samples)


def pair_slope(
    classifier: BaseClassifier,
    point: torch.Tensor,
    noise: torch.Tensor,
    sigma: float,
    label: int,
    rival: int = ABSTAINED,
) -> torch.Tensor:
    """The slope of the smoothed votes for a class, or of its lead over a rival, from pairs.

    It is twice the sum over the pairs of `h z`, whose mean is `σ ∇p`.

    Args:
        classifier: in eval mode.
        point: where, of the shape of an input.
        noise: standard normal, (pairs, …).
        sigma: noise level, input units.
        label: the class.
        rival: another class, or −1.
    """
    with torch.inference_mode():
        points = torch.cat([point + sigma * noise, point - sigma * noise])
        found = one_tensor(output_of(classifier, points), len(points))
        found = found.argmax(1) if found.is_floating_point() else found
        lead = (found == label).to(noise) - ((found == rival) & (rival >= 0)).to(noise)
    weights = lead[: len(noise)] - lead[len(noise) :]
    return torch.tensordot(weights.clone(), noise, dims=1)


def on_lattice(smoothed: SmoothedClassifier, x: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
    """The point itself; with exact noise the next lattice point on the way back to `x`.

    Args:
        smoothed: says the lattice.
        x: the input; with exact noise a lattice point.
        point: of the shape of `x`.
    """
    if smoothed.lattice is None:
        return point
    origin, moved = x.double() / smoothed.lattice, (point.double() - x.double()) / smoothed.lattice
    return ((origin.round() + moved.trunc()) * smoothed.lattice).to(x.dtype)


def distance_between(point: torch.Tensor, x: torch.Tensor) -> float:
    """The l2 distance, in float64: a difference of floats of less precision would be rounded."""
    return norm_of(point.double() - x.double())


def norm_of(vector: torch.Tensor) -> float:
    """The l2 norm, in float64."""
    return float(torch.linalg.vector_norm(vector.double()))
