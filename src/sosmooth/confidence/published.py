"""From a tally to bounds, as published: one function for each of the three methods.

Each states how it splits `alpha`, the failure probability of one input's certificate.
"""

from __future__ import annotations

import numpy as np

from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.gradient_norm import gradient_norm_upper_bound
from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound
from sosmooth.tally import Design, Tally


def top_probability(tally: Tally, alpha: float, sigma: float) -> Bounds:
    """Clopper–Pearson on the independent evaluations, all of alpha.

    The two evaluations of an antithetic pair are not independent, so only the side `x + ε` of a
    pair counts.

    Args:
        tally: counts of the estimation samples, (batch,).
        alpha: failure probability of each input's certificate, in (0, 1).
        sigma: noise level, input units; not used.

    Returns:
        Bounds of the probability of the class.
    """
    if tally.design is Design.ANTITHETIC:
        count, n = tally.required("pair_both") + tally.required("pair_plus_only"), tally.n // 2
    else:
        count, n = tally.required("count_top"), tally.n
    return _proportion(count, n, alpha)


def top_probability_and_gradient(tally: Tally, alpha: float, sigma: float) -> Bounds:
    """Half of alpha for the probability (Clopper–Pearson), half for the gradient (Theorem 2).

    Args:
        tally: counts of the estimation samples, in disjoint pairs, (batch,).
        alpha: failure probability of each input's certificate, in (0, 1).
        sigma: noise level, input units.

    Returns:
        Bounds of the probability of the class and of the norm of its gradient.
    """
    estimate = tally.required("gradient_sq_estimate")
    if tally.dimension is None:
        raise LookupError(
            "the dimension of the inputs, which is unknown here; give dimension=… when importing"
        )
    bounds = _proportion(tally.required("count_top"), tally.n, alpha / 2)
    gradient = gradient_norm_upper_bound(
        estimate, tally.n // 2, dimension=tally.dimension, sigma=sigma, alpha=alpha / 2
    )
    return Bounds(bounds.n_used, bounds.p_lower, bounds.error_upper, gradient_norm_upper=gradient)


def pair_probabilities(tally: Tally, alpha: float, sigma: float) -> Bounds:
    """Half of alpha for "both right", half for "right at x + ε, wrong at x − ε".

    Each is a Clopper–Pearson bound. The two bounds are separate and may add up to more than 1. Then
    the second one is lowered, so that no mass is counted twice.

    Args:
        tally: counts of the estimation samples, in antithetic pairs, (batch,).
        alpha: failure probability of each input's certificate, in (0, 1).
        sigma: noise level, input units; not used.

    Returns:
        Bounds of the probabilities of the pairs.
    """
    pairs = tally.n // 2
    c_s = proportion_lower_bound(tally.required("pair_both"), pairs, alpha / 2)
    c_n = proportion_lower_bound(tally.required("pair_plus_only"), pairs, alpha / 2)
    return Bounds(tally.n, c_s_lower=c_s, c_n_lower=np.minimum(c_n, 0.5 * (1 - c_s)))


def _proportion(count, n, alpha: float) -> Bounds:
    return Bounds(
        np.asarray(n),
        proportion_lower_bound(count, n, alpha),
        error_upper=proportion_upper_bound(n - count, n, alpha),
    )
