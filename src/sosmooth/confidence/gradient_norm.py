"""An upper bound of the gradient norm from disjoint pairs of independent samples.

Source: Levine et al. 2020, Theorem 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sosmooth._numbers import checked_alpha


def gradient_norm_upper_bound(
    gradient_sq_estimate: ArrayLike, pairs: ArrayLike, *, dimension: int, sigma: float, alpha: float
) -> NDArray[np.float64]:
    """Upper bound of `‖∇p‖₂`: `√max(V̂ + t, 0)`, with Theorem 2's slack t.

    In units of sigma, with `L = ln(1/alpha)`: `t = 4 √(d L / pairs)` if `2 L ≤ d · pairs`, else
    `4 √2 L / pairs`.

    Args:
        gradient_sq_estimate: `V̂ = mean((ε·ε') f(x+ε) f(x+ε')) / σ⁴` over the disjoint pairs; any
            shape.
        pairs: number of disjoint pairs, at least 1; broadcasts.
        dimension: number of features of one input.
        sigma: noise level, input units.
        alpha: failure probability of this bound alone, in (0, 1).

    Returns:
        Float64 of the broadcast shape, per input unit, at least 0, rounded up.

    Raises:
        ValueError: dimension or pairs below 1, alpha outside (0, 1).

    Guarantee:
        P(bound < ‖∇p‖₂) ≤ alpha for every base classifier with values in {0, 1} and every number of
        pairs.

    Source:
        Levine et al. 2020, Theorem 2.
    """
    estimate, pairs = (
        np.asarray(gradient_sq_estimate, dtype=np.float64),
        np.asarray(pairs, dtype=np.float64),
    )
    if dimension < 1 or np.any(pairs < 1):
        raise ValueError(
            "dimension and pairs must be at least 1 for the gradient bound; got"
            f" {dimension} and {pairs.min()}"
        )
    checked_alpha(alpha)
    log_term = -np.log(alpha)
    slack = np.where(
        2 * log_term <= dimension * pairs,
        4 * np.sqrt(dimension * log_term / pairs),
        4 * np.sqrt(2) * log_term / pairs,
    )
    # The products are summed in float64; their rounding is orders of magnitude below this.
    slack = slack * (1 + 1e-9) + 1e-12 * dimension
    with np.errstate(over="ignore"):  # infinity bounds it too
        return np.sqrt(np.maximum(estimate * sigma**2 + slack, 0.0)) / sigma * (1 + 1e-15)
