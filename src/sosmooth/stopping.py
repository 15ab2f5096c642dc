"""When to stop drawing: when a question is decided, or when more samples could gain little.

Both rules look at the counts a number of times that follows from n alone, and their certificates
hold whenever they stop. Neither uses the gradient. Statements and proofs: docs/theory/stopping.md.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.evidence import (
    pair_evidence,
    pairs_ahead,
    proportion_ahead,
    proportion_evidence,
)
from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound
from sosmooth.measures import ABSTAINED
from sosmooth.methods import METHODS, bounds_and_radii, certify_tally
from sosmooth.results import Certificates, concatenate
from sosmooth.tally import NO_CLASS, Design, Tally

#: Radii of more sigma than this take more than 1e9 samples even if the classifier is never wrong.
_FURTHEST = 6.0
# The first look of `RobustAt`, in noise vectors; the next one comes after one more `_SHARE`-th part
# of what was drawn.
_FIRST, _SHARE = 64, 8
# Of what is said of rivals, for the runner-up of the selection.
_RUNNER_UP_SHARE = 0.8
# Looks of `WithinTolerance`, each at twice the samples of the one before; the last has alpha/2.
_DOUBLINGS = 8
# Inputs looked at at once.
_CHUNK = 1024


@dataclass(frozen=True)
class RobustAt:
    """Draw until it is decided whether the method can certify `radius`, at most n evaluations.

    Attributes:
        radius: input units, in (0, 6 sigma].
        method: `first_order`, or one of those with the dipole's value.
        n: evaluations at most.
        sigma: noise level, input units.
        alpha: failure probability.
        classes: whether the class is compared with one half or each other class.

    Raises:
        ValueError: the radius is outside its range, or the method has no such rule.
    """

    radius: float
    method: str
    n: int
    sigma: float
    alpha: float
    classes: str = "top"

    def __post_init__(self) -> None:
        _check_rule(
            self.method,
            "radius",
            self.radius,
            at_most=_FURTHEST * self.sigma,
            without=("second_order", "second_order_pairs"),
        )

    def asked(self) -> dict[str, float]:
        """What the user asked for, by the name of the argument."""
        return {"radius": self.radius}

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
        """Certificates of exactly `radius` where that was decided.

        Args:
            tally: the counts at which the drawing stopped.
            inputs: as for `certify_tally`.

        Guarantee:
            For each input, with probability at least 1 − alpha: the class is `prediction` within
            `radius`, if it is certified. "not_certifiable_at_radius" is said with probability at
            most alpha where the method could certify more than `radius` if it knew what it
            estimates. Both whenever the drawing stops.
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
            classes=self.classes,
        )

    def _decided(self, tally: Tally) -> NDArray[np.bool_]:
        """Whether the radius can be certified, and whether it cannot: bool (2, batch)."""
        distance = float(np.nextafter(self.radius / self.sigma, np.inf))
        if self.classes == "all" and tally.num_classes != 2:
            return _decided_ahead(tally, distance, self.alpha)
        if tally.design is Design.INDEPENDENT:
            right = tally.required("count_top")
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
    """Draw until more samples could not raise the radius by much, at most n evaluations.

    Attributes:
        tolerance: by how much, input units, positive.
        method: any but `second_order`.
        n: evaluations at most.
        sigma: noise level, input units.
        alpha: failure probability, split over the looks.
        classes: whether the class is compared with one half or each other class.

    Raises:
        ValueError: the tolerance is outside its range, or the method has no such rule.
    """

    tolerance: float
    method: str
    n: int
    sigma: float
    alpha: float
    classes: str = "top"

    def __post_init__(self) -> None:
        _check_rule(
            self.method,
            "tolerance",
            self.tolerance,
            at_most=np.inf,
            without=("second_order",),
        )

    def asked(self) -> dict[str, float]:
        """What the user asked for, by the name of the argument."""
        return {"tolerance": self.tolerance}

    def looks(self) -> list[int]:
        """Evaluations drawn at each look."""
        sides = _sides(self.method)
        return sorted(
            {sides * max(self.n // sides >> doublings, 1) for doublings in range(_DOUBLINGS)}
        )

    def stopped(self, tally: Tally) -> NDArray[np.bool_]:
        """Which inputs could not gain more than the tolerance, (batch,); all are at one look."""
        if not len(tally):
            return np.zeros(0, dtype=bool)
        tally = _counts_of(self, tally)
        now, end = self._alpha_at(int(tally.n[0])), self._alpha_at(self.n)
        return (
            self._radius(_best_at(tally, self.n, now), end) - self._radius(tally, now)
            <= self.tolerance
        )

    def certify(self, tally: Tally, **inputs) -> Certificates:
        """Certificates at the look that each input stopped at.

        Args:
            tally: the counts at which the drawing stopped.
            inputs: as for `certify_tally`.

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
                classes=self.classes,
            )
            for i in groups
        ]
        found = concatenate(parts)[np.argsort(np.concatenate(groups))]
        return replace(found, alpha=self.alpha, tally=marked(self, found.tally))

    def _radius(self, tally: Tally, alpha: float) -> NDArray[np.float64]:
        return bounds_and_radii(
            self.method, tally, alpha=alpha, sigma=self.sigma, classes=self.classes
        )[1]

    def _alpha_at(self, n: int) -> float:
        """The share of alpha of the look at n evaluations."""
        looks = self.looks()
        if n not in looks:
            raise ValueError(
                f"n is {n}, but this rule decides only after {', '.join(map(str, looks))}"
                " evaluations"
            )
        if len(looks) == 1:
            return self.alpha
        return 0.5 * self.alpha / (1 if n == self.n else len(looks) - 1)


StoppingRule = RobustAt | WithinTolerance
#: By the name of the argument that asks for it.
RULES: dict[str, type[StoppingRule]] = {"radius": RobustAt, "tolerance": WithinTolerance}


def marked(rule: StoppingRule, tally: Tally) -> Tally:
    """The tally at which the rule stopped; nothing that takes n for fixed reads it any more."""
    return replace(tally, stopped_by=repr(rule))


def _counts_of(rule: StoppingRule, tally: Tally) -> Tally:
    """What the rule itself may read: counts under way, or those at which it stopped."""
    if tally.stopped_by not in (None, repr(rule)):
        raise ValueError(
            f"these counts were drawn until {tally.stopped_by} stopped; {rule!r} cannot use them"
        )
    return replace(tally, stopped_by=None)


def rule_of_text(text: str) -> StoppingRule:
    """The rule that a tally says it was stopped by.

    Args:
        text: `Tally.stopped_by`.

    Raises:
        ValueError: it is not a rule.
    """
    try:
        call = ast.parse(text, mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            kind = {"RobustAt": RobustAt, "WithinTolerance": WithinTolerance}[call.func.id]
            return kind(**{str(one.arg): ast.literal_eval(one.value) for one in call.keywords})
    except (KeyError, SyntaxError, TypeError, ValueError):
        pass
    raise ValueError(f"{text!r} is not a stopping rule")


def _check_rule(method: str, name: str, value: float, *, at_most: float, without: tuple[str, ...]):
    """Refuse a rule that the method does not have, or a value outside its range."""
    if method in without:
        allowed = ", ".join(other for other in METHODS if other not in without)
        raise ValueError(f"{method} has no {name}; these methods have: {allowed}")
    if not (0 < value <= at_most and np.isfinite(value)):
        raise ValueError(
            f"{name} must be a positive number, in units of the inputs, at most {at_most:g};"
            f" got {value!r}"
        )


def _sides(method: str) -> int:
    return 2 if METHODS[method].design is Design.ANTITHETIC else 1


def _pairs(tally: Tally) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pairs right on both sides, on exactly one, on none."""
    one = tally.required("pair_plus_only") + tally.required("pair_minus_only")
    return tally.required("pair_both"), one, tally.required("pair_none")


def _decided_ahead(tally: Tally, distance: float, alpha: float) -> NDArray[np.bool_]:
    """Whether the class is ahead of every rival at a distance, and whether it is not certifiable.

    Returns:
        Bool (2, batch).
    """
    row, same, one, share = _strongest_rivals(tally)
    top = tally[row]
    if tally.design is Design.INDEPENDENT:
        found = proportion_ahead(top.required("count_top"), same, top.n, distance)
    else:
        both, right_once, _ = _pairs(top)
        found = pairs_ahead(both, right_once, same, one, top.n // 2, distance)
    ahead, below, rival_below = found
    level = -np.log(alpha)
    robust = np.full(len(tally), True)
    np.logical_and.at(robust, row, ahead >= level)
    # Half of alpha for the class, and half for all rivals together.
    lost = (below >= level + np.log(2)) & (rival_below >= level + np.log(2) - np.log(share))
    hopeless = np.full(len(tally), False)
    np.logical_or.at(hopeless, row, lost.any(axis=0))
    return np.stack([robust, hopeless])


def _strongest_rivals(tally: Tally) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """The rivals that matter: every other one has at most the votes of one of them.

    Returns:
        Of each, (rivals,): the row of its input, the pairs (or evaluations) that returned it on
        both sides, the pairs that did on one, and its share among the rivals.
    """
    tally.class_votes()  # or LookupError
    ids, same = tally.required("class_ids"), tally.required("class_same")
    one = np.zeros_like(same) if tally.class_one is None else tally.class_one
    # An unseen class serves where none was seen.
    ids, same, one = (
        np.pad(array, ((0, 0), (0, 1)), constant_values=fill)
        for array, fill in ((ids, NO_CLASS), (same, 0), (one, 0))
    )
    most = np.argmax(same + one, axis=1)[:, None]
    wanted = (ids != NO_CLASS) & (same > np.take_along_axis(same, most, axis=1))
    np.put_along_axis(wanted, most, True, axis=1)
    row, column = np.nonzero(wanted)
    runner_up, others = tally.required("runner_up")[row], float((tally.num_classes or 0) - 2)
    share = np.where(
        runner_up == NO_CLASS,
        1 / (others + 1),
        np.where(ids[row, column] == runner_up, _RUNNER_UP_SHARE, (1 - _RUNNER_UP_SHARE) / others),
    )
    return row, same[row, column], one[row, column], share


def _best_at(tally: Tally, n: int, alpha: float) -> Tally:
    """What n evaluations would count on average, were the truth as good as these counts allow."""
    best = _best_top_at(tally, n, alpha)
    if not tally.counts_classes:
        return best
    left = (best.n - best.required("count_top")) / np.maximum(
        tally.n - tally.required("count_top"), 1
    )
    fewer = {
        name: np.floor(values * left[:, None]).astype(np.int64)
        for name in ("class_same", "class_one")
        if (values := getattr(tally, name)) is not None
    }
    return replace(best, **fewer)


def _best_top_at(tally: Tally, n: int, alpha: float) -> Tally:
    """The same of the selected class alone."""
    size = np.full(len(tally), n)
    if tally.design is Design.INDEPENDENT:
        share = proportion_upper_bound(tally.required("count_top"), tally.n, alpha)
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
