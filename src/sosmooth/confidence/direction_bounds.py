"""How far slope and curvature along one fixed direction may fall short of their estimates.

The direction need not be known; it must not depend on the samples. So nothing is charged for the
dimension. Statement and proof: docs/theory/third_order.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._numbers import EPS, Floats, checked_alpha
from sosmooth.confidence.pair_gradient import LAMBDAS, psi
from sosmooth.tally import CURVATURE_STEP

#: The largest constant by which the curvature may be centred.
LARGEST_CENTER = 0.5
# Cells of |t|; 1, where t² − 1 changes its sign, is an edge.
_EDGES = np.concatenate([np.linspace(0, 6, 601), np.linspace(6, 14, 81)[1:]])
_MASS = 2 * (special.ndtr(-_EDGES[:-1]) - special.ndtr(-_EDGES[1:]))
_SQUARE = _EDGES**2 - 1
# Curvature: λ up to this, or to this share of 1/(2c), where the exponential mean ends; first these
# multiples of a guess, then of the best of them.
_LARGEST_LAMBDA, _LAMBDA_SHARE = 8.0, 0.98
_TRIALS = tuple(np.array(steps) for steps in ([0.25, 0.5, 1, 2, 4], [0.6, 0.8, 1, 1.25, 1.6]))
# Elements at a time.
_CHUNK = 64
# Relative error of the sums below, and of the closed form.
_ERROR = 1e-9


def slope_shortfall(one_upper: ArrayLike, pairs: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """`e_1`: the mean of `h v·z` exceeds `σ v·∇p` by more than this with probability at most alpha.

    `e_1 = min_λ (ψ(λ) + ln(1/alpha)/n)/λ`, with `h = (f(x + ε) − f(x − ε))/2` and `z = ε/σ`.

    Args:
        one_upper: the probability that the two sides of a pair differ, or an upper bound of it, in
            [0, 1]; any shape.
        pairs: number n of pairs in the mean, at least 1; broadcasts.
        alpha: failure probability, in (0, 1).

    Returns:
        Float64 of the broadcast shape, units of the noise, rounded up.

    Raises:
        ValueError: alpha is outside (0, 1), or one_upper outside [0, 1].

    Guarantee:
        For every f with values in [0, 1] and `E|f(x + ε) − f(x − ε)|` of at most one_upper, every
        dimension and every fixed unit vector v. The bound of the probability may come from the same
        pairs; its own failure is added.

    Source:
        docs/theory/third_order.md.
    """
    checked_alpha(alpha)
    one, n = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in (one_upper, pairs)))
    _check_probabilities("one_upper", one)
    cost = -np.log(alpha) / n.ravel()[:, None]
    return (((psi(one.ravel()) + cost) / LAMBDAS).min(axis=1) * (1 + _ERROR)).reshape(one.shape)[()]


def curvature_shortfall(
    one_upper: ArrayLike,
    none_upper: ArrayLike,
    pairs: ArrayLike,
    alpha: float,
    *,
    center: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """`e_2`: the estimate exceeds `σ² vᵀ∇²p v` by more than this with probability at most alpha.

    The estimate is the mean of `−(u − c)((v·z)² − 1)`, where u is the wrong share of a pair (0, 1/2
    or 1) and c a constant. Only the light side of `(v·z)² − 1 ≥ −1` matters for the wrong pairs.

    Args:
        one_upper: upper bound of the probability that exactly one side of a pair is wrong, in
            [0, 1]; any shape.
        none_upper: upper bound of the probability that both are, in [0, 1]; broadcasts.
        pairs: number of pairs in the mean, at least 1; broadcasts.
        alpha: failure probability, in (0, 1).
        center: c, in [0, 1/2], fixed without these pairs; broadcasts.

    Returns:
        Float64 of the broadcast shape, units of the noise, rounded up.

    Raises:
        ValueError: a value is outside its range.

    Guarantee:
        For every f with values in {0, 1}, every dimension and every fixed unit vector v. The bounds
        of the probabilities may come from the same pairs; their own failure is added.

    Source:
        docs/theory/third_order.md.
    """
    checked_alpha(alpha)
    given = (np.asarray(a, dtype=np.float64) for a in (one_upper, none_upper, pairs, center))
    one, none, n, c = np.broadcast_arrays(*given)
    _check_probabilities("one_upper", one)
    _check_probabilities("none_upper", none)
    if not np.all((c >= 0) & (c <= LARGEST_CENTER)):
        raise ValueError(f"center must be in [0, {LARGEST_CENTER}]; got {c.ravel()[:3].tolist()}")
    rows = np.stack([one.ravel(), none.ravel(), -np.log(alpha) / n.ravel(), c.ravel()])
    found = [
        _curvature_shortfall(*rows[:, start : start + _CHUNK])
        for start in range(0, max(one.size, 1), _CHUNK)
    ]
    return np.concatenate(found).reshape(one.shape)[()]


def slope_rounding(pairs: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """What rounding z to multiples of s changes of the mean of `h v·z`, at most: `s √q / 4`.

    Args:
        pairs: number of pairs in the mean, at least 1; any shape.
        alpha: failure probability of this and of `curvature_rounding` together, in (0, 1).

    Returns:
        Float64 of that shape, units of the noise, rounded up.

    Raises:
        ValueError: alpha is outside (0, 1).

    Guarantee:
        For every dimension and every fixed unit vector v.

    Source:
        docs/theory/third_order.md, "The sums".
    """
    return 0.25 * CURVATURE_STEP * np.sqrt(_largest_mean_square(pairs, alpha))


def curvature_rounding(pairs: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """The same for the mean of `(u − c)((v·z)² − 1)`: `s (1 + 2s) q`.

    Args:
        pairs: as for `slope_rounding`.
        alpha: likewise.

    Returns:
        Float64 of that shape, units of the noise, rounded up.

    Raises:
        ValueError: alpha is outside (0, 1).

    Guarantee:
        As for `slope_rounding`; for exact noise too.

    Source:
        docs/theory/third_order.md, "The sums".
    """
    return CURVATURE_STEP * (1 + 2 * CURVATURE_STEP) * _largest_mean_square(pairs, alpha)


def _largest_mean_square(pairs: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """`q`: the mean of so many squares of normals is above it with probability alpha / 2 at most.

    Laurent, Massart 2000, Lemma 1.
    """
    rate = -np.log(0.5 * float(checked_alpha(alpha))) / np.asarray(pairs, dtype=np.float64)
    return (1 + 2 * np.sqrt(rate) + 2 * rate) * (1 + _ERROR)


def _check_probabilities(name: str, values: Floats) -> None:
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError(f"{name} must be in [0, 1]; got {values.ravel()[:3].tolist()}")


def _curvature_shortfall(one: Floats, none: Floats, cost: Floats, c: Floats) -> Floats:
    """`min_λ (A(λ) + cost)/λ`, (n,): any λ will do."""
    square = 2 * (one * (0.5 - c) ** 2 + none * (1 - c) ** 2 + c * c)
    with np.errstate(divide="ignore"):
        largest = np.minimum(_LARGEST_LAMBDA, _LAMBDA_SHARE * 0.5 / c)
        best = np.sqrt(2 * cost / square)
    shortfall = np.full(one.shape, np.inf)
    for steps in _TRIALS:
        lambdas = np.minimum(best[:, None] * steps, largest[:, None])
        found = (_exponent(lambdas, one, none, c[:, None]) + cost[:, None]) / lambdas
        best = np.take_along_axis(lambdas, found.argmin(axis=1)[:, None], axis=1)[:, 0]
        shortfall = np.minimum(shortfall, found.min(axis=1))
    return shortfall * (1 + _ERROR)


def _exponent(lambdas: Floats, one: Floats, none: Floats, c: Floats) -> Floats:
    """`A(λ)`, (n, lambdas)."""
    # E κ(λ c q): exp and the root are accurate, their difference to 1 is not.
    right = np.exp(-lambdas * c) / np.sqrt(1 - 2 * lambdas * c)
    total = right - 1 + 16 * EPS * (1 + right)
    saved = _kappa((c * lambdas)[..., None] * _SQUARE)
    for share, probability in ((0.5, one), (1.0, none)):
        gain = _kappa(-((share - c) * lambdas)[..., None] * _SQUARE)
        total = total + _largest_mean(lambdas, gain, saved, probability[:, None])
    return total


def _largest_mean(lambdas: Floats, gain: Floats, saved: Floats, probability: Floats) -> Floats:
    """`sup over events of this probability of E[d(q)₊; A]`, `q = t² − 1`, (n, lambdas).

    d is what a pair of this wrong share adds to `κ(λ c q)`: `gain − saved`, both at the edges of
    the cells, (n, lambdas, edges). Both are monotone on either side of `q = 0`, so on a cell d is
    at most a difference of their values at its ends. Beyond the last edge `d ≤ λ q`.
    """
    cells = np.maximum(gain[..., 1:], gain[..., :-1]) - np.minimum(saved[..., 1:], saved[..., :-1])
    cells = np.maximum(cells, 0.0)
    order = np.argsort(-cells, axis=-1)
    cells, mass = np.take_along_axis(cells, order, axis=-1), _MASS[order]
    summed, reached = np.cumsum(cells * mass, axis=-1), np.cumsum(mass, axis=-1)
    # Whole cells until the probability is reached: one too many is on the safe side.
    enough = (reached < probability[..., None]).sum(axis=-1, keepdims=True)
    enough = np.minimum(enough, mass.shape[-1] - 1)
    summed, reached, last = (
        np.take_along_axis(values, enough, axis=-1)[..., 0] for values in (summed, reached, cells)
    )
    result = summed - (reached - probability).clip(0) * last
    beyond = 2 * lambdas * _EDGES[-1] * np.exp(-0.5 * _EDGES[-1] ** 2)
    return np.where(probability > 0, result + beyond, 0.0) * (1 + _ERROR)


def _kappa(y: Floats) -> Floats:
    """`e^y − 1 − y`, at least 0; infinite where it overflows."""
    with np.errstate(over="ignore"):
        return np.maximum(np.expm1(y) - y, 0.0)
