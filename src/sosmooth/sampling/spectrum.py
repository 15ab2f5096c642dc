"""From mean slope and curvature to the few numbers that bound both along every direction.

Statement and proof: docs/theory/third_order.md, "The eigenvalues".
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from sosmooth._numbers import EPS, Floats
from sosmooth.tally import CURVATURE_KEPT

# What is stored is a multiple of this, rounded to the safe side: so it hardly ever depends on how
# many threads the eigenvectors were computed with.
_STEP = 2.0**-30
# Relative error of a Frobenius norm in float64, at most, and of each entry of what is given.
_NORM_ERROR, _ENTRY_ERROR = 1e-6, 4 * EPS


def spectrum(mean: Floats, hessian: Floats) -> tuple[Floats, Floats]:
    """Eigenvalues of `Ĥ`, and squared coefficients of `X̂` in its eigenvectors, on the safe side.

    Args:
        mean: X̂, float64 (d,).
        hessian: Ĥ, float64 (d, d), symmetric. Each entry of the two may be wrong by 4 units of
            rounding of itself, or, on the diagonal, of itself and 1.

    Returns:
        Float64 (d,) and (d,), multiples of 2^−30: ascending values θ, and squares s.

    Raises:
        ArithmeticError: the eigenvectors are not nearly orthogonal.

    Guarantee:
        For every unit vector v there are a unit vector y and an x with `x_i² ≤ s_i` such that
        `X̂·v = x·y` and `vᵀĤv ≥ Σ θ_i y_i²`. Nothing is assumed of how the eigenvectors were found:
        what they miss is bounded after they were computed.

    Source:
        docs/theory/third_order.md.
    """
    given, slope = torch.from_numpy(hessian), torch.from_numpy(mean)
    values, vectors = torch.linalg.eigh(given)
    # A product of two matrices, however it is added up, is wrong by at most this times the product
    # of their Frobenius norms.
    product_error = (len(mean) + 4) * EPS
    overlap = vectors.T @ vectors
    overlap.diagonal().sub_(1)
    defect = _norm(overlap) + product_error * _norm(vectors) ** 2
    if not defect < 0.1:
        raise ArithmeticError(f"a matrix of {len(mean)} rows has no computable eigenvectors")
    residual = torch.mm(given, vectors, out=overlap).addcmul_(vectors, values, value=-1)
    missed = _norm(residual) + product_error * _norm(vectors) * (_norm(given) + _norm(values))
    missed = (missed + (1 + defect) * defect * float(values.abs().max())) / (1 - defect)
    missed += _ENTRY_ERROR * (_norm(given) + np.sqrt(len(mean)))
    theta = (values - defect * values.abs() - missed).numpy()
    error = _norm(slope) * (defect / (1 - defect) + product_error + _ENTRY_ERROR)
    squares = (((slope @ vectors).abs() + error).square() * (1 + defect)).numpy()
    # The half is for the rounding in these lines.
    return np.floor(theta / _STEP - 0.5) * _STEP, np.ceil(squares / _STEP + 0.5) * _STEP


def shortened(
    eigenvalues: Floats, squares: Floats, most: int = CURVATURE_KEPT
) -> tuple[Floats, Floats]:
    """At most so many values and squares, by which no bound is larger than by those given.

    Some eigenvalues stay, with the lowest and the highest. The square of each other one is shared
    out between its two neighbours among them, as by linear interpolation.

    Args:
        eigenvalues: as `spectrum` returns them, (d,).
        squares: likewise.
        most: at least 2.

    Returns:
        Float64 (min(d, most),) each, multiples of 2^−30.

    Guarantee:
        `Σ s/(νθ + λ)` does not fall, for any `ν ≥ 0` and `λ > −ν θ_min`, as that is convex in θ.

    Source:
        docs/theory/third_order.md, "Fewer numbers".
    """
    size = len(eigenvalues)
    if size <= most:
        return eigenvalues, squares
    nodes = _nodes(size, most)
    below = np.repeat(np.arange(most - 1), np.diff(nodes))
    theta = eigenvalues[nodes]
    width = np.diff(theta)[below]
    above = np.divide(
        eigenvalues[:-1] - theta[below], width, out=np.zeros(size - 1), where=width > 0
    )
    shares = np.zeros(most)
    shares[-1] = squares[-1]
    # The lower neighbour weighs more: it gets what rounding may have moved.
    np.add.at(shares, below, squares[:-1] * (1 - above + 4 * EPS))
    np.add.at(shares, below + 1, squares[:-1] * above)
    return theta, np.ceil(shares / _STEP + 0.5) * _STEP


def _nodes(size: int, most: int) -> NDArray[np.int64]:
    """Which eigenvalues stay: the distance grows by a factor, as the lowest ones matter most."""
    place = np.arange(most)
    low, high = 0.0, 64.0
    for _ in range(60):  # the rate at which the last one is the highest
        rate = 0.5 * (low + high)
        too_few = place[-1] + np.expm1(rate) < size - 1
        low, high = (rate, high) if too_few else (low, rate)
    nodes = (place + np.expm1(low * place / place[-1])).astype(np.int64)
    nodes[-1] = size - 1
    return nodes


def _norm(values: torch.Tensor) -> float:
    """An upper bound of the Frobenius norm."""
    return float(torch.linalg.vector_norm(values)) * (1 + _NORM_ERROR)
