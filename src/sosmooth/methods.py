"""The methods: each is one row that names its sampling design and its theorem.

To add one, write the bounds (`confidence/`), the certificate (`certificates/`), and a row here. The
exports, the command line and the contract tests read this table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import EPS, checked_alpha
from sosmooth.axis import AlongAxis
from sosmooth.certificates._checks import in_input_units
from sosmooth.certificates.dipole import dipole_region
from sosmooth.certificates.first_order import first_order_region
from sosmooth.certificates.region import Region
from sosmooth.certificates.second_order import second_order_region
from sosmooth.certificates.second_order_dipole import second_order_dipole_region
from sosmooth.confidence import published
from sosmooth.confidence.bounds import ONE_HALF, Bounds, concatenate, in_order
from sosmooth.confidence.joint_pairs import joint_corners
from sosmooth.confidence.other_norms import checked_norm, largest_l2_length
from sosmooth.confidence.rivals import (
    WITH_RUNNER_UP,
    WITHOUT_RUNNER_UP,
    Split,
    rival_bounds,
)
from sosmooth.directions import InEveryDirection
from sosmooth.measures import ABSTAINED
from sosmooth.results import Certificates
from sosmooth.tally import Design, Tally
from sosmooth.theorems import (
    BY_DIPOLE,
    BY_HALF_GRADIENT,
    AtCorners,
    Theorem,
    by_probability,
)

#: What a certificate may compare the selected class with: one half, or each other class.
CLASSES = ("top", "all")
# Corners and other classes, over the inputs, that are held at once.
_ROWS = 2**17
_CORNERS = 512


@dataclass(frozen=True)
class Method:
    """How a certificate comes about.

    Attributes:
        design: how the samples must be drawn to certify with it directly.
        theorem: from the counts to the radius.
        source: where it is from.
        pair_gradient: whether the gradient that the pairs see is drawn, where the selection samples
            show that it can help.
        curvature: whether the curvature that the pairs see is drawn, likewise.
        axis: whether slope and curvature along one axis are drawn, likewise.
        classes: what it compares the selected class with by default, one of `CLASSES`.
    """

    design: Design
    theorem: Theorem
    source: str
    pair_gradient: bool = False
    curvature: bool = False
    axis: bool = False
    classes: str = "top"

    def certify(
        self, tally: Tally, alpha: float, sigma: float
    ) -> tuple[Bounds, NDArray[np.float64]]:
        """The bounds that the radius comes from, and the radius.

        The class is compared with one half.

        Args:
            tally: what was counted, (batch,).
            alpha: failure probability, in (0, 1).
            sigma: noise level, input units.

        Returns:
            Bounds at the worst truth that alpha leaves, (batch,), and float64 (batch,), input
            units, rounded down.

        Raises:
            LookupError: the tally lacks what is needed (the message names it).
        """
        found = [
            self.theorem.certify(tally[part], alpha, sigma)
            for part in _chunks(len(tally), _CORNERS)
        ]
        distance = np.concatenate([distance for _, distance in found])
        bounds = concatenate([bounds for bounds, _ in found])
        return bounds, in_input_units(distance, np.asarray(sigma))

    def in_norm(self, norm: str) -> Method:
        """The method whose l2 distance, over `largest_l2_length`, is a radius in the norm.

        Without a mean slope of the pairs it is the same one: the ball that the l2 ball contains.

        Args:
            norm: of the radii, see `checked_norm`.
        """
        if norm == "l2" or not self.pair_gradient:
            return self
        return replace(self, theorem=self.theorem.in_norm(norm))

    def region(self, bounds: Bounds, sigma: float) -> Region:
        """The extremal regions of bounds (batch,), units of sigma.

        Args:
            bounds: as `certify` returns them.
            sigma: noise level, input units.
        """
        return self.theorem.region(bounds, sigma)


def _chunks(size: int, rows: int) -> Iterator[slice]:
    """Parts of a batch, each so small that its arrays (rows, part) fit in memory with ease."""
    step = max(_ROWS // rows, 1)
    return (slice(start, start + step) for start in range(0, max(size, 1), step))


def _first_order(bounds: Bounds, sigma: float) -> Region:
    return first_order_region(error=bounds.required("error_upper"))


def _second_order(bounds: Bounds, sigma: float) -> Region:
    return second_order_region(
        error=bounds.required("error_upper"),
        gradient_norm=bounds.required("gradient_norm_upper") * sigma,
    )


def _dipole(bounds: Bounds, sigma: float) -> Region:
    return dipole_region(bounds.required("c_s_lower"), bounds.required("c_n_lower"))


def _second_order_dipole(bounds: Bounds, sigma: float) -> Region:
    return second_order_dipole_region(
        bounds.required("c_s_lower"),
        bounds.required("c_n_lower"),
        bounds.required("gradient_norm_upper") * sigma,
    )


_SECOND_ORDER_DIPOLE = AtCorners(
    partial(joint_corners, costs=[BY_DIPOLE], costs_with_gradient=[BY_HALF_GRADIENT, BY_DIPOLE]),
    _second_order_dipole,
)

METHODS: dict[str, Method] = {
    "first_order": Method(
        Design.INDEPENDENT,
        AtCorners(published.top_probability, _first_order),
        "Cohen, Rosenfeld, Kolter 2019",
    ),
    "second_order": Method(
        Design.DISJOINT_PAIRS,
        AtCorners(published.top_probability_and_gradient, _second_order),
        "Levine, Kumar, Goldstein, Feizi 2020, Theorems 1 and 2",
    ),
    "dipole": Method(
        Design.ANTITHETIC,
        AtCorners(published.pair_probabilities, _dipole),
        "Levine, Kumar, Goldstein, Feizi 2020, Theorem 3",
    ),
    "dipole_joint": Method(
        Design.ANTITHETIC,
        AtCorners(partial(joint_corners, costs=[BY_DIPOLE]), _dipole),
        "docs/theory/pair_counts.md, with Theorem 3 of Levine et al. 2020",
    ),
    "second_order_pairs": Method(
        Design.ANTITHETIC,
        AtCorners(
            partial(joint_corners, costs=[by_probability], costs_with_gradient=[by_probability]),
            _second_order,
        ),
        "docs/theory/gradient_from_pairs.md, with Theorem 1 of Levine et al. 2020",
        pair_gradient=True,
    ),
    "second_order_dipole": Method(
        Design.ANTITHETIC,
        _SECOND_ORDER_DIPOLE,
        "docs/theory/second_order_dipole.md",
        pair_gradient=True,
        classes="all",
    ),
    "third_order_dipole": Method(
        Design.ANTITHETIC,
        InEveryDirection(_SECOND_ORDER_DIPOLE, (by_probability, BY_DIPOLE)),
        "docs/theory/third_order.md",
        pair_gradient=True,
        curvature=True,
        classes="all",
    ),
    "look_ahead": Method(
        Design.ANTITHETIC,
        AlongAxis(_SECOND_ORDER_DIPOLE, (by_probability, BY_DIPOLE)),
        "docs/theory/look_ahead.md",
        pair_gradient=True,
        axis=True,
        classes="all",
    ),
}
DEFAULT_METHOD = "third_order_dipole"


def method_named(name: str) -> Method:
    """The method of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; there are: {', '.join(METHODS)}")
    return METHODS[name]


def check_evaluations(name: str, n: int) -> None:
    """Refuse a number of evaluations that a method cannot draw.

    Args:
        name: of the method, a key of `METHODS`.
        n: evaluations; a pair is two.

    Raises:
        ValueError: unknown method, or an odd n where evaluations come in pairs.
    """
    if method_named(name).design is not Design.INDEPENDENT and n % 2:
        raise ValueError(
            f"n must be even for {name}: it counts evaluations, and a pair is two; got {n}"
        )


def _against_each(
    method: Method, tally: Tally, alpha: float, sigma: float
) -> tuple[Bounds, NDArray[np.float64]]:
    """Bounds of all classes, and the radii within which the selected one is ahead of each other."""
    tally.class_votes()  # or LookupError
    if tally.num_classes == 2:
        # Ahead of the only other class means above one half, and that needs one set of bounds.
        bounds, radius = method.certify(tally, alpha, sigma)
        nothing = np.full(tally.required("class_ids").shape, np.nan)
        bounds = replace(
            bounds,
            other_upper=nothing,
            unseen_upper=np.full(len(tally), np.nan),
            limiting_class=np.full(len(tally), ONE_HALF),
        )
        return bounds, radius
    has_runner_up = tally.required("runner_up") >= 0
    rows = _CORNERS + tally.required("class_ids").shape[1]
    found, order = [], []
    for split in (WITH_RUNNER_UP, WITHOUT_RUNNER_UP):
        group = np.flatnonzero(has_runner_up == (split is WITH_RUNNER_UP))
        if not len(group) and len(tally):
            continue
        for part in _chunks(len(group), rows):
            order.append(group[part])
            found.append(_ahead(method, tally[group[part]], alpha, split, sigma))
    return in_order(order, found)


def _ahead(
    method: Method, tally: Tally, alpha: float, split: Split, sigma: float
) -> tuple[Bounds, NDArray[np.float64]]:
    """The same for inputs that share one split of alpha; all their corners are in memory."""
    rivals = rival_bounds(tally, alpha, split, BY_DIPOLE)
    pairs = rivals.bounds.c_s_lower is not None
    complements = (_dipole if pairs else _first_order)(rivals.bounds, sigma)
    bounds, distance = method.theorem.certify(tally, split.selected * alpha, sigma, complements)
    ahead = np.atleast_2d(complements.measure(distance))
    nearest = np.argmin(ahead, axis=0)
    limiting = np.take_along_axis(rivals.class_ids, nearest[None], axis=0)[0]
    limiting = np.where((ahead.min(axis=0) <= 0.5) & (distance > 0), ONE_HALF, limiting)
    bounds = replace(
        bounds,
        other_upper=rivals.upper,
        unseen_upper=rivals.unseen_upper,
        limiting_class=limiting,
    )
    return bounds, in_input_units(distance, np.asarray(sigma))


def _leads(tally: Tally) -> NDArray[np.bool_]:
    """Whether more evaluations returned the selected class than any other."""
    return np.all(tally.class_votes() < tally.required("count_top")[:, None], axis=1)


def classes_of(method: str, classes: str | None) -> str:
    """What a certificate of the method compares the selected class with.

    Args:
        method: a key of `METHODS`.
        classes: as asked for; None: the method's default.

    Raises:
        ValueError: unknown method, or `classes` is none of `CLASSES`.
    """
    classes = method_named(method).classes if classes is None else classes
    if classes not in CLASSES:
        raise ValueError(f"classes must be one of {', '.join(map(repr, CLASSES))}; got {classes!r}")
    return classes


def bounds_and_radii(
    name: str, tally: Tally, *, alpha: float, sigma: float, classes: str, norm: str = "l2"
) -> tuple[Bounds, NDArray[np.float64]]:
    """What `certify_tally` computes of the counts; its arguments and exceptions.

    Returns:
        The bounds, and the radii of the selected classes, input units, (batch,).
    """
    method = method_named(name).in_norm(checked_norm(norm))
    checked_alpha(alpha)
    if classes_of(name, classes) == "all":
        bounds, radius = _against_each(method, tally, alpha, sigma)
    else:
        bounds, radius = method.certify(tally, alpha, sigma)
    longest = largest_l2_length(norm, tally.dimension)
    return bounds, radius if longest == 1 else radius / longest * (1 - 4 * EPS)


def certify_tally(
    name: str,
    tally: Tally,
    *,
    selected: NDArray[np.int64],
    selection_margin: NDArray[np.int64],
    index: NDArray[np.int64],
    sigma: float,
    alpha: float,
    n0: int,
    seed: int | None,
    classes: str = "top",
    norm: str = "l2",
) -> Certificates:
    """Certificates from counts alone: no classifier, no noise.

    Args:
        name: a key of `METHODS`.
        tally: the counts of the estimation samples for the selected classes, (batch,).
        selected: the class of each input chosen from other samples, int64 (batch,); −1 where none
            is known.
        selection_margin: votes by which it led there, int64 (batch,).
        index: the inputs' indices, int64 (batch,).
        sigma: noise level, input units.
        alpha: failure probability, in (0, 1).
        n0: selection samples, for the record.
        seed: of the noise, for the record.
        classes: "top": the selected class must keep more than half of the probability. "all": that,
            or more than each other class; alpha is split over all the bounds.
        norm: of the radii, see `checked_norm`.

    Returns:
        One certificate per input.

    Raises:
        ValueError: unknown method, alpha outside (0, 1), `classes` none of the two, or an unknown
            norm.
        LookupError: the tally lacks what the method needs (the message names it).

    Guarantee:
        For each input: if another class than `prediction` is the smoothed classifier's within
        `radius`, an event of probability at most alpha happened: with "all", simultaneous over the
        classes of one input. A tally read at many alphas, methods, `classes` or norms, the best
        kept, is no certificate.
    """
    bounds, radius = bounds_and_radii(
        name, tally, alpha=alpha, sigma=sigma, classes=classes, norm=norm
    )
    leads = tally.p_estimate() > 0.5 if classes == "top" else _leads(tally)
    known = selected != ABSTAINED
    radius = np.where(known, radius, 0.0)
    certified = radius > 0
    reason = np.select(
        [certified, ~known, leads, selection_margin == 0],
        ["", "imported", "too_few_samples", "no_leading_class"],
        "below_one_half" if classes == "top" else "not_ahead",
    )
    return Certificates(
        input_index=np.asarray(index),
        prediction=np.where(certified, selected, ABSTAINED),
        radius=radius,
        abstain_reason=reason,
        selected=np.asarray(selected),
        selection_margin=np.asarray(selection_margin),
        method=name,
        sigma=sigma,
        alpha=alpha,
        n0=n0,
        seed=seed,
        tally=tally,
        bounds=bounds,
        classes=classes,
        norm=norm,
    )
