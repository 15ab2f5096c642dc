"""The methods: each is one row that names its sampling design, its bounds and its certificate.

Adding one: write the bounds (`confidence/`), the certificate (`certificates/`), and a row here. The exports, the command
line and the contract tests read this table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sosmooth.certificates.dipole import dipole_radius
from sosmooth.certificates.first_order import first_order_radius
from sosmooth.certificates.second_order import second_order_radius
from sosmooth.certificates.second_order_dipole import one_sided_cost, second_order_dipole_radius
from sosmooth.confidence import published
from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.joint_pairs import joint_bounds
from sosmooth.results import ABSTAINED, Certificates
from sosmooth.tally import Design, Tally


@dataclass(frozen=True)
class Method:
    """How a certificate comes about.

    Attributes:
        design: how the samples must be drawn to certify with it directly.
        bounds: `(tally, alpha, sigma) → Bounds`; raises LookupError naming what the tally lacks.
        radius: `(bounds, sigma) → radii` in input units.
        source: where it is from.
        pair_gradient: whether the gradient that the pairs see is drawn, where the selection samples show that it can help.
    """

    design: Design
    bounds: Callable[[Tally, float, float], Bounds]
    radius: Callable[[Bounds, float], NDArray[np.float64]]
    source: str
    pair_gradient: bool = False


# The orders of the outcomes of pairs: by the radius of the dipole, by the probability, and by the radius at half of the largest
# gradient norm. `pair_cells` hedges between several; that keeps the radius within a few per cent of a standard error of the best.
_BY_DIPOLE = partial(one_sided_cost, gradient_share=1.0)
_BY_HALF_GRADIENT = partial(one_sided_cost, gradient_share=0.5)


def _by_probability(c_s: NDArray[np.float64], c_n: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.full(np.broadcast_shapes(c_s.shape, c_n.shape), 0.5)


METHODS: dict[str, Method] = {
    "first_order": Method(
        Design.INDEPENDENT,
        published.top_probability,
        lambda bounds, sigma: first_order_radius(error=bounds["error_upper"], sigma=sigma),
        "Cohen, Rosenfeld, Kolter 2019",
    ),
    "second_order": Method(
        Design.DISJOINT_PAIRS,
        published.top_probability_and_gradient,
        lambda bounds, sigma: second_order_radius(
            error=bounds["error_upper"], gradient_norm=bounds["gradient_norm_upper"], sigma=sigma
        ),
        "Levine, Kumar, Goldstein, Feizi 2020, Theorems 1 and 2",
    ),
    "dipole": Method(
        Design.ANTITHETIC,
        published.pair_probabilities,
        lambda bounds, sigma: dipole_radius(bounds["c_s_lower"], bounds["c_n_lower"], sigma=sigma),
        "Levine, Kumar, Goldstein, Feizi 2020, Theorem 3",
    ),
    "dipole_joint": Method(
        Design.ANTITHETIC,
        partial(
            joint_bounds,
            radius=lambda cells, gradient, sigma: dipole_radius(cells.c_s, cells.c_n, sigma=sigma),
            costs=[_BY_DIPOLE],
        ),
        lambda bounds, sigma: dipole_radius(bounds["c_s_lower"], bounds["c_n_lower"], sigma=sigma),
        "docs/theory/pair_counts.md, with Theorem 3 of Levine et al. 2020",
    ),
    "second_order_pairs": Method(
        Design.ANTITHETIC,
        partial(
            joint_bounds,
            radius=lambda cells, gradient, sigma: second_order_radius(error=cells.error, gradient_norm=gradient, sigma=sigma),
            costs=[_by_probability],
            costs_with_gradient=[_by_probability],
        ),
        lambda bounds, sigma: second_order_radius(
            error=bounds["error_upper"], gradient_norm=bounds["gradient_norm_upper"], sigma=sigma
        ),
        "docs/theory/gradient_from_pairs.md, with Theorem 1 of Levine et al. 2020",
        pair_gradient=True,
    ),
    "second_order_dipole": Method(
        Design.ANTITHETIC,
        partial(
            joint_bounds,
            radius=lambda cells, gradient, sigma: second_order_dipole_radius(cells.c_s, cells.c_n, gradient, sigma=sigma),
            costs=[_BY_DIPOLE],
            costs_with_gradient=[_BY_HALF_GRADIENT, _BY_DIPOLE],
        ),
        lambda bounds, sigma: second_order_dipole_radius(
            bounds["c_s_lower"], bounds["c_n_lower"], bounds["gradient_norm_upper"], sigma=sigma
        ),
        "docs/theory/second_order_dipole.md",
        pair_gradient=True,
    ),
}
DEFAULT_METHOD = "second_order_dipole"


def method_named(name: str) -> Method:
    """The method of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; there are: {', '.join(METHODS)}")
    return METHODS[name]


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
) -> Certificates:
    """Certificates from counts alone: no classifier, no noise.

    Args:
        name: a key of `METHODS`.
        tally: the counts of the estimation samples for the selected classes, (batch,).
        selected: the class of each input chosen from other samples, (batch,); −1 where none is known.
        selection_margin: votes by which it led there.
        index: the inputs' indices. sigma: input units. alpha: failure probability, in (0, 1). n0, seed: for the record.
    Returns:
        One certificate an input.
    Raises:
        ValueError: unknown method, alpha outside (0, 1).
        LookupError: the tally lacks what the method needs (the message names it).
    Guarantee:
        For each input: if another class than `prediction` is the smoothed classifier's within `radius`, an event of
        probability at most alpha happened. A tally read at many alphas or methods, the best kept, is no certificate.
    """
    method = method_named(name)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be a failure probability in (0, 1); got {alpha!r}")
    bounds = method.bounds(tally, alpha, sigma)
    known = selected != ABSTAINED
    radius = np.where(known, method.radius(bounds, sigma), 0.0)
    certified = radius > 0
    above_half = tally.p_estimate() > 0.5
    reason = np.select(
        [certified, ~known, above_half, selection_margin == 0],
        ["", "imported", "too_few_samples", "no_leading_class"],
        "below_one_half",
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
    )
