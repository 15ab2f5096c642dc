"""How far away the smoothed class is measured to be lost: the yardstick of a certificate.

A certificate says that the class is kept up to a radius. Here samples show that it is gone at some
distance: along the gradient, and along the worst direction that a search finds. The nearest point
where it is gone lies between the two. Statement and proof: docs/how_far.md.

A class is lost where it has no more than one half of the probability, or where another class leads:
what the certificate compares it with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special

from sosmooth._numbers import checked_alpha, whole_number
from sosmooth.attacks.smoothed_pgd import (
    AttackSettings,
    descended,
    distance_between,
    norm_of,
    on_lattice,
    pair_slope,
)
from sosmooth.confidence.proportion import proportion_upper_bound
from sosmooth.measures import ABSTAINED
from sosmooth.methods import CLASSES
from sosmooth.sampling.modes import EvaluationMode
from sosmooth.smoothed import SmoothedClassifier

# The first distances that are looked at along a direction, units of sigma: up to the last one the
# class is searched.
_GRID = np.geomspace(0.05, 16.0, 32)
# Between two of them so many points are looked at.
_BETWEEN = 8
# Samples of the search, relative to those of a look: of a point of the grid, of a point between,
# and pairs of one gradient.
_ROUGH, _CLOSE, _PAIRED = 0.025, 0.05, 0.5
_FEWEST = 32
# The crossing along one direction is sought near that along another.
_NEARBY = np.geomspace(0.6, 1.4, 12)
# Where a direction does not lose the class nearby, the next gradient is taken so much farther out.
_FARTHER = 1.4
# Pairs that are evaluated at once, at most, and their numbers.
_PAIRS, _ELEMENTS = 512, 2**22
# Seeds of this module's noise begin here, those of other judgements of an attack end before.
_FIRST_SEED = 2**31


@dataclass(frozen=True)
class LookSettings:
    """How directions are searched, and how the class is tested along them.

    Attributes:
        refinements: gradients at the crossing that improve the worst direction.
        looks: distances at which the class is tested along each direction, at least 1.
        n: samples of one look, at least 1; the search for the directions takes fewer, in
            proportion.
        alpha: failure probability of all the looks of an input together.
        seed: of the search and of the looks.

    Raises:
        ValueError: a number is out of range.
    """

    refinements: int = 6
    looks: int = 6
    n: int = 20_000
    alpha: float = 0.001
    seed: int = 0

    def __post_init__(self):
        checked_alpha(self.alpha)
        for name, least in (("refinements", 0), ("looks", 1), ("n", 1), ("seed", 0)):
            number = whole_number(name, getattr(self, name), least=least, below=2**64)
            object.__setattr__(self, name, number)


@dataclass(frozen=True)
class LostClass:
    """Distances at which a smoothed class is measured to be lost, input units; `inf`: not found.

    Attributes:
        along_gradient: from the input along −∇p.
        along_worst: along the worst direction found.
    """

    along_gradient: float
    along_worst: float

    @property
    def distance(self) -> float:
        """The smaller one: no true radius of this input is larger."""
        return min(self.along_gradient, self.along_worst)


def lost_class(
    smoothed: SmoothedClassifier,
    x: torch.Tensor,
    prediction: int,
    *,
    classes: str = "top",
    settings: LookSettings | None = None,
) -> LostClass:
    """Measure how far away the smoothed class is lost.

    Directions and first guesses of the distances come from samples of their own. Then fresh samples
    test the class at up to `looks` distances along each direction; each test has an equal part of
    `alpha`.

    Args:
        smoothed: the classifier.
        x: the input, on any device, float; with exact noise a lattice point.
        prediction: its class.
        classes: "top": the class is lost where its probability is at most one half. "all": where
            another class is ahead.
        settings: how hard to try; None: the defaults.

    Returns:
        The distances.

    Raises:
        ValueError: prediction or classes is out of range.
        ClassifierError: the classifier raised an error or gave no vote.

    Guarantee:
        With probability at least 1 − alpha the class is lost at both distances (where finite), so
        they are upper bounds of the distance to the nearest point where it is. Simultaneous over
        all looks of one input, not over inputs.
    """
    settings = settings or LookSettings()
    if not 0 <= prediction < smoothed.num_classes or classes not in CLASSES:
        raise ValueError(
            f"prediction must be one of the {smoothed.num_classes} classes and classes one of"
            f" {', '.join(CLASSES)}; got {prediction} and {classes!r}"
        )
    x = x.detach().to(smoothed.device, torch.promote_types(x.dtype, torch.float32))
    search = _Search(smoothed, x, prediction, classes, settings)
    steepest = search.gradient(x)
    along_gradient = search.crossing(steepest)
    worst, along_worst = search.worst(steepest, along_gradient)
    first = search.measured(steepest, along_gradient)
    if worst is steepest:
        return LostClass(first, first)
    return LostClass(first, search.measured(worst, along_worst))


class _Search:
    """One input. Every call of the classifier draws noise that no other call has."""

    def __init__(
        self,
        smoothed: SmoothedClassifier,
        x: torch.Tensor,
        prediction: int,
        classes: str,
        settings: LookSettings,
    ):
        self._smoothed, self._x, self._prediction = smoothed, x, prediction
        self._to_one_half, self._settings = classes == "top", settings
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._drawn = _FIRST_SEED

    def gradient(self, point: torch.Tensor, rival: int = ABSTAINED) -> torch.Tensor:
        """The unit vector along which the class falls fastest, or its lead over a rival."""
        left, total = self._samples(_PAIRED), torch.zeros_like(point)
        most = int(np.clip(_ELEMENTS // point.numel(), 1, _PAIRS))
        with EvaluationMode(self._smoothed.base_classifier):
            while left:
                count = min(left, most)
                noise = torch.empty((count, *point.shape)).normal_(generator=self._generator)
                total += pair_slope(
                    self._smoothed.base_classifier,
                    point,
                    noise.to(point.device, point.dtype),
                    self._smoothed.sigma,
                    self._prediction,
                    rival,
                )
                left -= count
        return _unit(-total)

    def crossing(self, direction: torch.Tensor, near: float = np.inf) -> float:
        """About where the class is lost first along a direction; `inf`: nowhere.

        It is sought around `near`, if that is finite.
        """
        distances = self._smoothed.sigma * _GRID if np.isinf(near) else near * _NEARBY
        lead = self._lead(direction, distances, self._samples(_ROUGH))
        lost = np.flatnonzero(lead <= 0)
        if not len(lost):
            return np.inf
        start = distances[lost[0] - 1] if lost[0] else 0.5 * distances[0]
        between = np.linspace(start, distances[lost[0]], _BETWEEN)
        lead = self._lead(direction, between, self._samples(_CLOSE))
        # A straight line through points close to each other.
        slope, level = np.polyfit(between, lead, 1)
        if not slope < 0:
            return float(distances[lost[0]])
        return float(np.clip(-level / slope, start, distances[lost[0]]))

    def worst(self, steepest: torch.Tensor, distance: float) -> tuple[torch.Tensor, float]:
        """The direction along which the class is lost soonest, and about where.

        Projected gradient descent finds one. Gradients at the crossing then improve it: at the
        nearest point of the boundary its normal points back to the input.
        """
        sigma, pgd = self._smoothed.sigma, AttackSettings(seed=self._settings.seed)
        size = distance if np.isfinite(distance) else 4 * sigma
        end = descended(self._smoothed, self._x, self._prediction, size, pgd, self._generator)
        trials = [(steepest, distance)]
        trial = _unit(end - self._x)
        trials.append((trial, self.crossing(trial, distance)))
        trial, near = min(trials, key=lambda one: one[1])
        if np.isinf(near):
            return trial, near
        pull = torch.zeros_like(self._x)
        for _ in range(self._settings.refinements):
            point = self._x + near * trial
            pull = pull + self.gradient(point, self._rival(point))
            trial = _unit(pull)
            near = min(self.crossing(trial, near), _FARTHER * near)
        trials.append((trial, near))
        near = min(near for _, near in trials)
        # Fresh samples at one distance compare the directions better than the noisy crossings do.
        leads = [self._lead(one, np.array([near]), self._settings.n)[0] for one, _ in trials]
        best = trials[int(np.argmin(leads))][0]
        if best is steepest:
            return best, distance
        found = self.crossing(best, near)
        return best, found if np.isfinite(found) else near

    def measured(self, direction: torch.Tensor, guess: float) -> float:
        """The smallest distance along a direction at which a look finds the class lost."""
        if np.isinf(guess):
            return np.inf
        settings = self._settings
        alpha = settings.alpha / (2 * settings.looks)
        # How far beyond the crossing a look is likely to find it, where the class falls half as
        # fast as it can.
        margin = float(special.ndtri(1 - alpha)) + 1
        step = self._smoothed.sigma * margin / np.sqrt(settings.n) / 0.4
        # The guess may be too large.
        low, high, closest = max(guess - step, 0.0), np.inf, np.inf
        for _ in range(settings.looks):
            at = 0.5 * (low + high) if np.isfinite(high) else max(low, guess) + step
            point = on_lattice(self._smoothed, self._x, self._x + at * direction)
            if self._is_lost(point, alpha):
                high, closest = at, min(closest, distance_between(point, self._x))
            else:
                low, step = at, 2 * step
        return closest

    def _is_lost(self, point: torch.Tensor, alpha: float) -> bool:
        """One look, wrong where the class is not lost with probability at most alpha."""
        n, seed = self._settings.n, self._seed()
        if not self._to_one_half:
            found = int(self._smoothed.predict(point[None], n=n, alpha=alpha, seed=seed)[0])
            return found not in (ABSTAINED, self._prediction)
        votes = self._smoothed.sampler.votes(point[None], n=n, seed=seed)[0]
        return bool(proportion_upper_bound(votes[self._prediction], n, alpha) <= 0.5)

    def _lead(
        self, direction: torch.Tensor, distances: NDArray[np.float64], n: int
    ) -> NDArray[np.float64]:
        """By how much the class leads, in normal quantiles, at distances along a direction."""
        away = torch.as_tensor(distances, dtype=self._x.dtype, device=self._x.device)
        points = self._x + away.reshape(-1, *[1] * self._x.ndim) * direction
        if self._smoothed.lattice is not None:
            points = torch.stack([on_lattice(self._smoothed, self._x, one) for one in points])
        votes = self._smoothed.sampler.votes(points, n=n, seed=self._seed())
        share = np.clip(votes / n, 0.5 / n, 1 - 0.5 / n)
        own = special.ndtri(share[:, self._prediction])
        if self._to_one_half:
            return own
        others = np.delete(share, self._prediction, axis=1).max(axis=1)
        return own - special.ndtri(others)

    def _rival(self, point: torch.Tensor) -> int:
        """The class that leads the others at a point; −1 where one half counts."""
        if self._to_one_half:
            return ABSTAINED
        n, point = self._samples(_CLOSE), on_lattice(self._smoothed, self._x, point)
        votes = self._smoothed.sampler.votes(point[None], n=n, seed=self._seed())[0]
        votes[self._prediction] = -1
        return int(votes.argmax())

    def _samples(self, share: float) -> int:
        return max(round(share * self._settings.n), _FEWEST)

    def _seed(self) -> int:
        self._drawn += 1
        return ((self._settings.seed << 32) + self._drawn) % 2**64


def _unit(vector: torch.Tensor) -> torch.Tensor:
    """The vector with length 1; a vector of length 0 becomes any one."""
    length = norm_of(vector)
    if not 0 < length < np.inf:
        vector, length = torch.ones_like(vector), vector.numel() ** 0.5
    return vector / length
