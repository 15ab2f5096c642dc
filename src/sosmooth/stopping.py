"""When to stop drawing: as soon as a question is decided, or when more samples could not raise the radius by much.

Both rules look at the counts a number of times that follows from n alone, and their certificates hold whenever they stop.
Neither uses the gradient. Statements and proofs: docs/theory/stopping.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.evidence import pair_evidence, proportion_evidence
from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound
from sosmooth.confidence.published import required
from sosmooth.measures import ABSTAINED
from sosmooth.methods import METHODS, certify_tally, method_named
from sosmooth.results import Certificates, concatenate
from sosmooth.tally import Design, Tally

#: Radii further out than this many sigma take more than 1e9 samples, were the classifier never wrong.
_FURTHEST = 6.0
# The first look of `RobustAt`, in noise vectors, and by which share of what was drawn the next one comes later.
_FIRST, _SHARE = 64, 8
# Looks of `WithinTolerance`, each at twice the samples of the one before; the last has half of alpha.
_DOUBLINGS = 8
# Inputs looked at at once.
_CHUNK = 1024


@dataclass(frozen=True)
class RobustAt:
    """Draw until it is decided whether the method can certify `radius`, at most n evaluations.

    Attributes:
        radius: input units, positive. method: `first_order`, or one of those with the dipole's value. n: evaluations at most.
        sigma: input units. alpha: failure probability.
    """

    radius: float
    method: str
    n: int
    sigma: float
    alpha: float

    def looks(self) -> list[int]:
        """Evaluations drawn at each look."""
        sides = _sides(self.method)
        found = [0]
        while found[-1] < self.n // sides:
            found.append(
                min(found[-1] + max(found[-1] // _SHARE // _FIRST, 1) * _FIRST, self.n // sides)
            )
        return [sides * vectors for vectors in found[1:]]

    def stopped(self, tally: Tally) -> NDArray[np.bool_]:
        """Which inputs are decided, (batch,)."""
        return np.any(self._decided(_counts_of(self, tally)), axis=0)

    def certify(self, tally: Tally, **inputs) -> Certificates:
        """Certificates of exactly `radius` where that was decided; the arguments are those of `certify_tally`.

        Guarantee:
            For each input, with probability at least 1 − alpha: the class is `prediction` within `radius`, if it is certified.
            "not_certifiable_at_radius" is said with probability at most alpha where the method could certify more than `radius`
            if it knew what it estimates. Both whenever the drawing stops.
        """
        robust, hopeless = self._decided(_counts_of(self, tally))
        robust &= inputs["selected"] != ABSTAINED
        return Certificates(
            input_index=inputs["index"],
            prediction=np.where(robust, inputs["selected"], ABSTAINED),
            radius=np.where(robust, self.radius, 0.0),
            abstain_reason=np.select(
                [robust, hopeless], ["", "not_certifiable_at_radius"], "undecided"
            ),
            selected=inputs["selected"],
            selection_margin=inputs["selection_margin"],
            method=self.method,
            sigma=self.sigma,
            alpha=self.alpha,
            n0=inputs["n0"],
            seed=inputs["seed"],
            tally=marked(self, tally),
            bounds=Bounds(tally.n),
        )

    def _decided(self, tally: Tally) -> NDArray[np.bool_]:
        """Whether the radius can be certified, and whether it cannot: bool (2, batch)."""
        distance = float(np.nextafter(self.radius / self.sigma, np.inf))
        if tally.design is Design.INDEPENDENT:
            right = required(tally, "count_top")
            evidence = np.stack(proportion_evidence(right, tally.n - right, distance))
        else:
            starts = range(0, max(len(tally), 1), _CHUNK)
            parts = [
                pair_evidence(*_pairs(tally[start : start + _CHUNK]), distance) for start in starts
            ]
            evidence = np.concatenate([np.stack(part) for part in parts], axis=1)
        return evidence >= -np.log(self.alpha)


@dataclass(frozen=True)
class WithinTolerance:
    """Draw until more samples could not raise the radius by more than `tolerance`, at most n evaluations.

    Attributes:
        tolerance: input units, positive. method: any but `second_order`. n: evaluations at most.
        sigma: input units. alpha: failure probability, split over the looks.
    """

    tolerance: float
    method: str
    n: int
    sigma: float
    alpha: float

    def looks(self) -> list[int]:
        """Evaluations drawn at each look."""
        sides = _sides(self.method)
        return sorted(
            {sides * max(self.n // sides >> doublings, 1) for doublings in range(_DOUBLINGS)}
        )

    def stopped(self, tally: Tally) -> NDArray[np.bool_]:
        """Which inputs could not gain more than the tolerance, (batch,). All were drawn up to the same look."""
        if not len(tally):
            return np.zeros(0, dtype=bool)
        tally = _counts_of(self, tally)
        now, end = self._alpha_at(int(tally.n[0])), self._alpha_at(self.n)
        return (
            self._radius(_best_at(tally, self.n, now), end) - self._radius(tally, now)
            <= self.tolerance
        )

    def certify(self, tally: Tally, **inputs) -> Certificates:
        """Certificates at the look that each input stopped at; the arguments are those of `certify_tally`.

        Guarantee:
            That of `certify_tally` at `alpha`, whenever the drawing stops.
        """
        tally = _counts_of(self, tally)  # at each look n is fixed, and the looks share alpha
        arrays = {name: inputs.pop(name) for name in ("selected", "selection_margin", "index")}
        groups = [np.flatnonzero(tally.n == n) for n in np.unique(tally.n)]
        parts = [
            certify_tally(
                self.method,
                tally[i],
                **{name: values[i] for name, values in arrays.items()},
                **inputs,
                sigma=self.sigma,
                alpha=self._alpha_at(int(tally.n[i[0]])),
            )
            for i in groups
        ]
        found = concatenate(parts)[np.argsort(np.concatenate(groups))]
        return replace(found, alpha=self.alpha, tally=marked(self, found.tally))

    def _radius(self, tally: Tally, alpha: float) -> NDArray[np.float64]:
        method = method_named(self.method)
        return method.radius(method.bounds(tally, alpha, self.sigma), self.sigma)

    def _alpha_at(self, n: int) -> float:
        """The share of alpha of the look at n evaluations."""
        looks = self.looks()
        if n not in looks:
            raise ValueError(
                f"n is {n}, which is no look of a rule that looks at {', '.join(map(str, looks))} evaluations"
            )
        if len(looks) == 1:
            return self.alpha
        return 0.5 * self.alpha / (1 if n == self.n else len(looks) - 1)


StoppingRule = RobustAt | WithinTolerance


def marked(rule: StoppingRule, tally: Tally) -> Tally:
    """The tally at which the rule stopped; nothing that takes n for fixed reads it any more."""
    return replace(tally, stopped_by=repr(rule))


def _counts_of(rule: StoppingRule, tally: Tally) -> Tally:
    """What the rule itself may read: counts under way, or those at which it stopped."""
    if tally.stopped_by not in (None, repr(rule)):
        raise ValueError(
            f"these counts were drawn until {tally.stopped_by} stopped; they answer no question of"
            f" {rule!r}"
        )
    return replace(tally, stopped_by=None)


def stopping_rule(
    radius: float | None,
    tolerance: float | None,
    *,
    method: str,
    n: int,
    sigma: float,
    alpha: float,
    classes: str = "top",
) -> StoppingRule | None:
    """The rule that was asked for; None for all n samples.

    Args:
        radius: in (0, 6 sigma], or None. tolerance: positive, or None. The others: as for `SmoothedClassifier.certify`.
    Raises:
        ValueError: both were given, one is outside its range, or the method or `classes` has no such rule.
    """
    if radius is None and tolerance is None:
        return None
    if radius is not None and tolerance is not None:
        raise ValueError(
            f"radius and tolerance are two rules for stopping; give one of them; got {radius!r} and {tolerance!r}"
        )
    if classes != "top":
        raise ValueError(
            f"radius and tolerance compare the class with one half: classes must be 'top' with them, not {classes!r}"
        )
    name, value, rule = (
        ("radius", radius, RobustAt)
        if tolerance is None
        else ("tolerance", tolerance, WithinTolerance)
    )
    without = ("second_order",) if tolerance is not None else ("second_order", "second_order_pairs")
    if method in without:
        allowed = ", ".join(other for other in METHODS if other not in without)
        raise ValueError(f"{name} is not to be had with {method}; it is with: {allowed}")
    furthest = _FURTHEST * sigma if rule is RobustAt else np.inf
    if not (value is not None and 0 < value <= furthest and np.isfinite(value)):
        raise ValueError(
            f"{name} must be a positive number, in units of the inputs, at most {furthest:g}; got {value!r}"
        )
    return rule(float(value), method, n, sigma, alpha)


def _sides(method: str) -> int:
    return 2 if METHODS[method].design is Design.ANTITHETIC else 1


def _pairs(tally: Tally) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pairs right on both sides, on exactly one, on none."""
    one = required(tally, "pair_plus_only") + required(tally, "pair_minus_only")
    return required(tally, "pair_both"), one, required(tally, "pair_none")


def _best_at(tally: Tally, n: int, alpha: float) -> Tally:
    """What n evaluations would count on average, were the truth as good as these counts allow."""
    size = np.full(len(tally), n)
    if tally.design is Design.INDEPENDENT:
        share = proportion_upper_bound(required(tally, "count_top"), tally.n, alpha)
        return replace(tally, n=size, count_top=np.ceil(share * n).astype(np.int64))
    both, one, none = _pairs(tally)
    wrong = np.floor(
        proportion_lower_bound(one + none, both + one + none, alpha) * (n // 2)
    ).astype(np.int64)
    share = np.where(
        one + none > 0, proportion_lower_bound(none, np.maximum(one + none, 1), alpha), 0.0
    )
    none = np.floor(share * wrong).astype(np.int64)
    plus = (wrong - none) // 2
    return replace(
        tally,
        n=size,
        count_top=2 * (n // 2 - wrong) + wrong - none,
        pair_both=n // 2 - wrong,
        pair_plus_only=plus,
        pair_minus_only=wrong - none - plus,
        pair_none=none,
    )
