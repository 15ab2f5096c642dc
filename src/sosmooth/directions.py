"""From the pair counts, mean and Hessian of one set of pairs to a third-order radius.

Statement and proof: docs/theory/third_order.md.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sosmooth._numbers import Floats, checked_alpha, checked_sigma
from sosmooth.certificates._checks import in_input_units
from sosmooth.certificates.second_order_dipole import one_sided_cost
from sosmooth.certificates.third_order_directions import any_direction_radius
from sosmooth.confidence.direction_bounds import curvature_shortfall, slope_shortfall
from sosmooth.confidence.pair_counts import pair_cells
from sosmooth.confidence.proportion import proportion_upper_bound

# Parts of alpha: slope, curvature, and each upper bound of a probability that the two use. The
# region of the counts gets the rest.
_SLOPE, _CURVATURE, _PROBABILITY = 0.05, 0.05, 0.005
# The order of the outcomes of the pairs.
_COST = partial(one_sided_cost, gradient_share=0.5)


def third_order_from_pairs(
    *,
    pair_both: ArrayLike,
    pair_one: ArrayLike,
    pair_none: ArrayLike,
    eigenvalues: ArrayLike,
    squares: ArrayLike,
    center: ArrayLike,
    alpha: float,
    sigma: float,
) -> NDArray[np.float64]:
    """Certified l2 radius from antithetic pairs: their counts, mean slope and mean curvature.

    With `z = ε/σ`, `h = (f(x + ε) − f(x − ε))/2` and the wrong share u of a pair (0, 1/2 or 1),
    `X̂` is the mean of `h z` and `Ĥ` the mean of `−(u − c)(z zᵀ − I)`, both over all pairs.

    Args:
        pair_both: pairs right on both sides, (batch,).
        pair_one: pairs right on exactly one side, (batch,).
        pair_none: pairs right on none, (batch,).
        eigenvalues: of Ĥ, accurate to 1e-11 of the largest, (batch, d).
        squares: squared coefficients of X̂ in the eigenvectors, or larger ones, (batch, d).
        center: c, in [0, 1/2], fixed without these pairs, (batch,).
        alpha: failure probability, in (0, 1).
        sigma: noise level, input units.

    Returns:
        Float64 (batch,), input units, rounded down; 0 where nothing is certified.

    Raises:
        ValueError: a value is outside its range.

    Guarantee:
        With probability at least 1 − alpha, for each input alone and every dimension and number of
        pairs, p > 1/2 at every smaller distance, for f with values in {0, 1}.

    Source:
        docs/theory/third_order.md.
    """
    checked_alpha(alpha)
    noise = checked_sigma(sigma)
    counts = (np.asarray(k, dtype=np.float64) for k in (pair_both, pair_one, pair_none))
    both, one, none = (np.atleast_1d(k) for k in counts)
    n = both + one + none
    cells = pair_cells(both, one, none, (1 - _SLOPE - _CURVATURE - 2 * _PROBABILITY) * alpha, _COST)
    one_upper = proportion_upper_bound(one, n, _PROBABILITY * alpha)
    none_upper = proportion_upper_bound(none, n, _PROBABILITY * alpha)
    slack = np.stack(
        [
            slope_shortfall(one_upper, n, _SLOPE * alpha),
            curvature_shortfall(one_upper, none_upper, n, _CURVATURE * alpha, center=center),
        ]
    )
    theta, squared = (np.asarray(values, dtype=np.float64).T for values in (eigenvalues, squares))
    radius = any_direction_radius(cells.c_s.T, cells.c_n.T, slack, theta, squared)
    return in_input_units(radius, noise)


def spectrum(mean: Floats, hessian: Floats) -> tuple[Floats, Floats]:
    """The eigenvalues of `Ĥ`, (batch, d, d), and the squared coefficients of `X̂`, (batch, d).

    The squares are rounded up by more than the error of the eigenvectors.
    """
    values, vectors = np.linalg.eigh(hessian)
    coefficients = np.einsum("ni,nij->nj", mean, vectors)
    length = np.sqrt((mean**2).sum(axis=1, keepdims=True))
    return values, (np.abs(coefficients) + 1e-11 * length) ** 2
