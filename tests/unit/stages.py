"""Every number between the counts and the printed radius is compared with mpmath.

None may be on the wrong side of the truth. Each stage draws cases, all its corners first, computes
them with the package and compares each with 50 digits; it judges only the unsafe side.
tests/unit/test_stages.py runs a few hundred cases of each, `python -m benchmarks rounding` 10⁵.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from itertools import product
from pathlib import Path

import mpmath as mp
import numpy as np
from scipy import special

import exact
from sosmooth.certificates._checks import in_input_units
from sosmooth.certificates.dipole import dipole_radius, dipole_region
from sosmooth.certificates.first_order import first_order_radius, first_order_region
from sosmooth.certificates.region import pdf, worst_multiclass_radius
from sosmooth.certificates.second_order import second_order_radius
from sosmooth.certificates.second_order_dipole import second_order_dipole_radius
from sosmooth.confidence import pair_counts, pair_gradient, running_direction
from sosmooth.confidence.evidence import _STAKES, proportion_evidence
from sosmooth.confidence.gradient_norm import gradient_norm_upper_bound
from sosmooth.confidence.proportion import proportion_lower_bound, proportion_upper_bound
from sosmooth.interchange.export import _printed
from sosmooth.measures import floored
from sosmooth.runs.schema import COLUMNS
from sosmooth.runs.table import parquet_bytes, table_from_parquet
from sosmooth.tally import SLOPE_CAP

#: A stage takes a number of cases and a generator. It returns a sentence for each case on the wrong
#: side, and how many it checked.
Stage = Callable[[int, np.random.Generator], tuple[list[str], int]]

_ALPHAS = [1e-12, 1e-9, 1e-6, 0.001, 0.05, 0.5]
_SIGMAS = [1e-6, 1e-3, 0.25, 1.0, 3.0, 1e3, 1e6]
_TINY = [5e-324, 1e-308, 1e-100, 1e-17, 2.0**-53, 1e-9]


def _counts(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, sizes and failure probabilities: all corners, then random ones."""
    corners = []
    for n, alpha in product([1, 2, 3, 10, 1000, 10**6, 10**9], _ALPHAS):
        edge = [0, 1, 2, n - 2, n - 1, n]
        middle = [n // 2, n // 2 + 1, int(0.9 * n)] if n <= 10**6 else []
        corners += [(k, n, alpha) for k in sorted({k for k in edge + middle if 0 <= k <= n})]
    rest = max(size - len(corners), 0)
    n = np.floor(10 ** rng.uniform(0, 4.5, rest)).astype(int)
    share = np.choose(
        rng.integers(3, size=rest),
        [
            rng.uniform(size=rest),
            10 ** rng.uniform(-7, 0, rest),
            1 - 10 ** rng.uniform(-7, 0, rest),
        ],
    )
    drawn = zip(
        np.rint(share * n).astype(int), n, 10 ** rng.uniform(-12, np.log10(0.5), rest), strict=True
    )
    cases = corners + list(drawn)
    if size < len(corners):
        cases = [cases[i] for i in rng.permutation(len(corners))[:size]]
    count, n_, alpha = (np.array(column) for column in zip(*cases, strict=True))
    return count, n_, alpha


def upper_tail_at_most(count: int, n: int, p: float) -> mp.mpf:
    """At least `P(Binomial(n, p) ≥ count)`, and hardly more.

    Sums ratios of terms in whole numbers, rounded up.
    """
    if count == 0:
        return mp.mpf(1)
    if p == 0 or p == 1:
        return mp.mpf(p)
    if count <= n * p:  # not a tail, so nothing is claimed about it
        return mp.mpf(1)
    top, bottom = Fraction(p).numerator, Fraction(p).denominator
    rest = bottom - top
    if bottom.bit_length() > 200:
        return exact.binomial_upper_tail(count, n, p) * (1 + mp.mpf(10) ** -20)
    scale = 1 << 140
    term = total = scale
    for k in range(count, n):
        term = term * (n - k) * top // ((k + 1) * rest) + 1
        total += term
        if term < scale >> 100:
            total += term * (n - k)  # more than all remaining terms
            break
    p = mp.mpf(p)
    first = mp.loggamma(n + 1) - mp.loggamma(count + 1) - mp.loggamma(n - count + 1)
    return (
        mp.exp(first + count * mp.log(p) + (n - count) * mp.log1p(-p))
        * total
        / scale
        * (1 + mp.mpf(10) ** -25)
    )


def proportions(size: int, rng: np.random.Generator) -> tuple[list[str], int]:
    """Clopper–Pearson: the exact tail at the returned float is at most alpha."""
    count, n, alpha = _counts(size, rng)
    low, high, wrong = (
        proportion_lower_bound(count, n, alpha),
        proportion_upper_bound(count, n, alpha),
        [],
    )
    for k, m, a, p, q in zip(
        count.tolist(), n.tolist(), alpha.tolist(), low.tolist(), high.tolist(), strict=True
    ):
        if not (0 <= p <= 1 and 0 <= q <= 1) or (k == 0 and p != 0) or (k == m and q != 1):
            wrong.append(f"bounds of {k} of {m} at {a!r} are {p!r}, {q!r}")
        if k > 0 and upper_tail_at_most(k, m, p) > mp.mpf(a):
            wrong.append(f"lower bound of {k} of {m} at {a!r} is {p!r}")
        if q < 1 and _lower_tail(k, m, q) > mp.mpf(a):
            wrong.append(f"upper bound of {k} of {m} at {a!r} is {q!r}")
    return wrong, 2 * len(count)


def _lower_tail(count: int, n: int, p: float) -> mp.mpf:
    """At least `P(Binomial(n, p) ≤ count)`; `1 − p` is exact as whole numbers, not as a float."""
    if p == 0:
        return mp.mpf(1)
    top, bottom = Fraction(p).numerator, Fraction(p).denominator
    if count >= n * p:  # the rest of the other tail, whose sum ends early and is too small
        return 1 - exact.binomial_upper_tail(count + 1, n, p)
    if bottom.bit_length() > 200:
        return exact.binomial_upper_tail(n - count, n, 1 - mp.mpf(p)) * (1 + mp.mpf(10) ** -20)
    scale = 1 << 140
    term = total = scale
    for k in range(count, 0, -1):  # from P(X = k) to P(X = k − 1)
        term = term * k * (bottom - top) // ((n - k + 1) * top) + 1
        total += term
        if term < scale >> 100:
            total += term * k
            break
    q = mp.mpf(p)
    first = mp.loggamma(n + 1) - mp.loggamma(count + 1) - mp.loggamma(n - count + 1)
    return (
        mp.exp(first + count * mp.log(q) + (n - count) * mp.log1p(-q))
        * total
        / scale
        * (1 + mp.mpf(10) ** -25)
    )


def pair_tails(size: int, rng: np.random.Generator) -> tuple[list[str], int]:
    """The joint region of pairs: tails by tangents, the rejecting score, and the corners."""
    count, n, _ = _counts(-(-size // 6), rng)
    score = np.concatenate([rng.uniform(-7.9, 2.5, 3), [-7.9, 0.0, 2.5]])
    bound = pair_counts._Tail(count.astype(float), n.astype(float)).upper_bound(score)
    wrong, checked = [], 0
    for k, m, row in zip(count.tolist(), n.tolist(), bound.tolist(), strict=True):
        for s, p in zip(score.tolist(), row, strict=True):
            checked += 1
            if p < 1 and _lower_tail(k, m, p) > exact.upper_tail(-mp.mpf(s)):
                wrong.append(f"the bound of {k} of {m} at the score {s!r} is {p!r}")
    for level, angle in zip(
        10 ** rng.uniform(-13, -0.4, 50), rng.uniform(0, np.pi / 2, 50), strict=True
    ):
        checked += 1
        z = mp.mpf(float(pair_counts._rejecting_score(level, np.array(angle))))
        if exact.upper_tail(z) + mp.mpf(angle) / (2 * mp.pi) * mp.exp(-z * z / 2) > mp.mpf(level):
            wrong.append(f"the score for the level {level!r} and angle {angle!r} is {z}")
    not_both = np.concatenate(
        [rng.uniform(size=size // 4), 10 ** rng.uniform(-290, 0, size // 4), [0.0, 1.0, *_TINY]]
    )
    # `_Tail` never bounds by less.
    not_both = np.where(not_both > 0, np.maximum(not_both, 1e-290), 0.0)
    share = rng.permutation(
        np.concatenate(
            [
                rng.uniform(size=size // 4),
                1 - 10 ** rng.uniform(-16, 0, size // 4),
                [0.0, 1.0, *_TINY],
            ]
        )
    )
    cells = pair_counts._corners(not_both, share)
    for w, rho, c_s, c_n, error in zip(
        not_both, share, cells.c_s, cells.c_n, cells.error, strict=True
    ):
        checked += 1
        w_, rho_ = Fraction(float(w)), Fraction(float(rho))
        true = 1 - w_, w_ * (1 - rho_) / 2, w_ * (1 + rho_) / 2
        if (
            Fraction(float(c_s)) > max(true[0], 0)
            or Fraction(float(c_n)) > true[1]
            or Fraction(float(error)) < min(true[2], 1)
        ):
            wrong.append(f"the corner of {w!r}, {rho!r} is {c_s!r}, {c_n!r}, {error!r}")
    return wrong, checked


def gradient_norms(size: int, rng: np.random.Generator) -> tuple[list[str], int]:
    """Theorem 2's bound of the gradient norm."""
    wrong = []
    sigma = np.concatenate([_SIGMAS, 10 ** rng.uniform(-6, 6, size - len(_SIGMAS))])
    estimate = rng.choice([-1.0, 1.0, 1.0], size) * 10 ** rng.uniform(-20, 0, size) / sigma**2
    pairs, dimension = (
        np.floor(10 ** rng.uniform(0, 9, size)),
        np.floor(10 ** rng.uniform(0, 6, size)).astype(int),
    )
    alpha = rng.choice([*_ALPHAS, 0.02, 3e-5], size)
    for e, m, d, s, a in zip(
        estimate.tolist(),
        pairs.tolist(),
        dimension.tolist(),
        sigma.tolist(),
        alpha.tolist(),
        strict=True,
    ):
        bound = mp.mpf(float(gradient_norm_upper_bound(e, m, dimension=d, sigma=s, alpha=a)))
        log_term = -mp.log(mp.mpf(a))
        slack = (
            4 * mp.sqrt(d * log_term / m)
            if 2 * log_term <= d * m
            else 4 * mp.sqrt(2) * log_term / m
        )
        if bound < mp.sqrt(max(mp.mpf(e) * mp.mpf(s) ** 2 + slack, 0)) / mp.mpf(s):
            wrong.append(f"the gradient bound of {e!r}, {m}, {d}, {s!r}, {a!r} is {bound}")
    return wrong, size


def pair_gradients(size: int, rng: np.random.Generator) -> tuple[list[str], int]:
    """The parts of the pairs' gradient bounds: ψ, G and the bias of the cap."""
    wrong, checked = [], 0
    rows = max(size // 20, 4)
    disagreement = np.concatenate([10 ** rng.uniform(-12, 0, rows - 3), [1.0, 0.5, 1e-300]])
    psi = pair_gradient.psi(disagreement)
    shortfall = pair_gradient.Shortfall(disagreement, disagreement, np.full(rows, 1000.0), 0.001)
    mean = rng.uniform(0, 0.4, rows)
    upper = shortfall.truth_upper_bound(mean)
    lambdas = pair_gradient.LAMBDAS
    for i, share in enumerate(disagreement.tolist()):
        cut = exact.quantile_from_tail(mp.mpf(share) / 2)
        cost = -mp.log(mp.mpf(0.001)) / 1000
        true_psi, linear = {}, []
        for j in (
            *rng.integers(len(lambdas), size=5).tolist(),
            int(np.argmin((psi[i] + float(cost)) / lambdas)),
        ):
            half = mp.mpf(float(lambdas[j])) / 2
            grown = mp.exp(half * half / 2) * exact.upper_tail(cut - half)
            true_psi[j] = 2 * (grown - mp.mpf(share) / 2 - half * exact.density(cut))
            checked += 1
            if mp.mpf(float(psi[i, j])) < true_psi[j]:
                wrong.append(
                    f"ψ at the disagreement {share!r} and λ = {lambdas[j]!r} is {psi[i, j]!r}"
                )
            linear.append(mp.mpf(float(mean[i])) + (true_psi[j] + cost) / mp.mpf(float(lambdas[j])))
        # At the chosen λ, the largest γ that the mean allows.
        j = int(np.argmin((psi[i] + float(cost)) / lambdas))
        at = mp.mpf(float(lambdas[j]))
        true = (1 + true_psi[j] - mp.exp(-at * mp.mpf(float(mean[i])) - cost)) / at
        checked += 1
        if mp.mpf(float(upper[i])) < min(true, linear[-1]):
            wrong.append(
                f"G at the disagreement {share!r} and the mean {mean[i]!r} is {upper[i]!r}"
            )
    c = 2 * mp.mpf(SLOPE_CAP)
    checked += 1
    if mp.mpf(running_direction.CAP_BIAS) < exact.density(c) - c * exact.upper_tail(c):
        wrong.append("the bias of the cap")
    return wrong, checked


def evidence(size: int, rng: np.random.Generator) -> tuple[list[str], int]:
    """The printed wealth of bets on a proportion is not larger than the true one."""
    wrong = []
    n = np.floor(10 ** rng.uniform(0, 7, size)) + 1
    right = np.rint(n * rng.uniform(size=size))
    for k, m, d in zip(
        right.tolist(), n.tolist(), rng.uniform(0.01, 6, size).tolist(), strict=True
    ):
        found = proportion_evidence(k, m - k, d)
        up, down = exact.upper_tail(mp.mpf(d)), exact.upper_tail(-mp.mpf(d))
        for value, (gain, loss) in zip(found, ((up, -down), (-up, down)), strict=True):
            most = max(-gain, -loss)
            stakes = [mp.mpf(float(stake)) / most for stake in _STAKES]
            logs = [
                k * mp.log1p(stake * gain) + (m - k) * mp.log1p(stake * loss) for stake in stakes
            ]
            top = max(logs)
            if mp.mpf(float(value)) > top + mp.log(
                mp.fsum(mp.exp(each - top) for each in logs) / len(logs)
            ):
                wrong.append(f"the evidence of {k} right of {m} at {d!r} is {value!r}")
    return wrong, 2 * size


def _errors(size: int, rng: np.random.Generator) -> np.ndarray:
    """Error masses: corners, then from one half to the smallest floats."""
    corners = np.array(
        [
            0.0,
            0.5,
            1.0,
            np.nextafter(0.5, 0),
            np.nextafter(0.5, 1),
            0.25,
            np.nextafter(1, 0),
            *_TINY,
        ]
    )[:size]
    rest = size - len(corners)
    random = np.choose(
        rng.integers(4, size=rest),
        [
            rng.uniform(0, 0.5, rest),
            0.5 - 10 ** rng.uniform(-16, -1, rest),
            10 ** rng.uniform(-16, -0.4, rest),
            10 ** rng.uniform(-307, -10, rest),
        ],
    )
    return np.concatenate([corners, random])


def _sigmas(size: int, rng: np.random.Generator) -> np.ndarray:
    return np.where(
        rng.random(size) < 0.3, rng.choice(_SIGMAS, size), 10 ** rng.uniform(-6, 6, size)
    )


def _too_large(radius: float, sigma: float, intervals) -> bool:
    """Whether a radius in input units is above the true one; the measure falls with distance."""
    if radius == 0:
        return False
    if np.isinf(radius):
        return exact.measure(intervals, 0) < 1
    return exact.measure(intervals, mp.mpf(radius) / mp.mpf(sigma)) < exact.HALF


def first_order_radii(size: int, rng: np.random.Generator) -> tuple[list[str], int]:
    """The first-order radius, in input units: `Φ(−r/σ) ≥ error`, one evaluation each."""
    error, sigma = _errors(size, rng), _sigmas(size, rng)
    wrong = []
    for e, s, r in zip(
        error.tolist(),
        sigma.tolist(),
        first_order_radius(error=error, sigma=sigma).tolist(),
        strict=True,
    ):
        if (
            r < 0
            or np.isnan(r)
            or (
                r > 0
                and (e != 0 if np.isinf(r) else exact.upper_tail(mp.mpf(r) / mp.mpf(s)) < mp.mpf(e))
            )
        ):
            wrong.append(f"the first-order radius of {e!r} at sigma {s!r} is {r!r}")
    return wrong, size


def _gradient(rng: np.random.Generator, largest: np.ndarray) -> np.ndarray:
    """Gradient norms (times sigma) from zero to above the largest possible, and close to both."""
    size = len(largest)
    return np.choose(
        rng.integers(6, size=size),
        [
            np.zeros(size),
            largest * rng.uniform(size=size),
            largest * 10 ** rng.uniform(-18, 0, size),
            largest * (1 - 10 ** rng.uniform(-16, 0, size)),
            np.nextafter(largest, 0),
            largest * rng.choice([1.0, 1.5], size),
        ],
    )


def second_order_radii(size: int, rng: np.random.Generator) -> tuple[list[str], int]:
    """The second-order radius, in input units, including sigma."""
    error, sigma = _errors(size, rng), _sigmas(size, rng)
    gradient = _gradient(rng, pdf(special.ndtri(error))) / sigma
    radius, wrong = second_order_radius(error=error, gradient_norm=gradient, sigma=sigma), []
    for e, g, s, r in zip(
        error.tolist(), gradient.tolist(), sigma.tolist(), radius.tolist(), strict=True
    ):
        if r > 0 and _too_large(
            r, s, [exact.band(e, mp.mpf(g) * mp.mpf(s))] if e else [(-mp.inf, mp.inf)]
        ):
            wrong.append(f"the second-order radius of {e!r}, {g!r} at sigma {s!r} is {r!r}")
    return wrong, size


def _pairs(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`c_s` and `c_n`: corners, everywhere, at the edges of the possible, just above one half."""
    corners = [
        (s, n)
        for s in (0.0, 1.0, 0.5, np.nextafter(1, 0), 1e-17, 5e-17, 0.25)
        for n in (0.0, 0.5, 1e-300, 0.25)
        if s + 2 * n <= 1
    ]
    corners = corners[:size]
    rest = size - len(corners)
    c_s = np.choose(
        rng.integers(4, size=rest),
        [
            rng.uniform(size=rest),
            1 - 10 ** rng.uniform(-16, 0, rest),
            10 ** rng.uniform(-16, 0, rest),
            0.5 + 10 ** rng.uniform(-10, -1, rest),
        ],
    )
    most = 0.5 * (1 - c_s)
    c_n = np.choose(
        rng.integers(4, size=rest),
        [
            most * rng.uniform(size=rest),
            most,
            most * 10 ** rng.uniform(-20, 0, rest),
            np.clip(0.5 - c_s + 10 ** rng.uniform(-14, -1, rest), 0, most),
        ],
    )
    return np.concatenate([[s for s, _ in corners], c_s]), np.concatenate(
        [[n for _, n in corners], c_n]
    )


def dipole_radii(size: int, rng: np.random.Generator) -> tuple[list[str], int]:
    """The dipole's radius, in input units."""
    (c_s, c_n), sigma, wrong = _pairs(size, rng), _sigmas(size, rng), []
    radius = dipole_radius(c_s, c_n, sigma=sigma)
    for a, b, s, r in zip(c_s.tolist(), c_n.tolist(), sigma.tolist(), radius.tolist(), strict=True):
        if r > 0 and _too_large(r, s, exact.half_line_and_slab(a, b)):
            wrong.append(f"the dipole radius of {a!r}, {b!r} at sigma {s!r} is {r!r}")
    return wrong, size


def second_order_dipole_radii(size: int, rng: np.random.Generator) -> tuple[list[str], int]:
    """The radius of pairs and gradient together, in input units."""
    (c_s, c_n), sigma, wrong = _pairs(size, rng), _sigmas(size, rng), []
    gradient = _gradient(rng, pdf(special.ndtri(c_n))) / sigma
    radius = second_order_dipole_radius(c_s, c_n, gradient, sigma=sigma)
    for a, b, g, s, r in zip(
        c_s.tolist(), c_n.tolist(), gradient.tolist(), sigma.tolist(), radius.tolist(), strict=True
    ):
        if r > 0 and _too_large(r, s, exact.pairs_and_gradient(a, b, mp.mpf(g) * mp.mpf(s))):
            wrong.append(
                f"the second-order dipole radius of {a!r}, {b!r}, {g!r} at sigma {s!r} is {r!r}"
            )
    return wrong, size


def radii_of_several_classes(size: int, rng: np.random.Generator) -> tuple[list[str], int]:
    """The distance within which the class leads each other class, by first order and by pairs."""
    wrong = []
    half = size // 2
    error, others = (
        rng.uniform(0, 0.9, half),
        rng.uniform(0, 0.5, (3, half)) * 10 ** rng.uniform(-8, 0, (3, half)),
    )
    radius = worst_multiclass_radius(
        first_order_region(error=error), first_order_region(error=others)
    )
    for i, r in enumerate(radius.tolist()):
        if r > 0 and exact.upper_tail(mp.mpf(r) - exact.quantile_from_tail(error[i])) < max(
            exact.upper_tail(exact.quantile_from_tail(each) - mp.mpf(r))
            for each in others[:, i].tolist()
        ):
            wrong.append(f"ahead of {others[:, i].tolist()} with the error {error[i]!r}: {r!r}")
    tops, rest = _pairs(half, rng), [_pairs(half, rng) for _ in range(2)]
    radius = worst_multiclass_radius(
        dipole_region(*tops),
        dipole_region(np.stack([each[0] for each in rest]), np.stack([each[1] for each in rest])),
    )
    for i, r in enumerate(radius.tolist()):
        if r > 0 and np.isfinite(r):
            ahead = exact.measure(exact.half_line_and_slab(tops[0][i], tops[1][i]), mp.mpf(r))
            if ahead < max(
                1 - exact.measure(exact.half_line_and_slab(s[i], n[i]), mp.mpf(r)) for s, n in rest
            ):
                wrong.append(f"ahead with {tops[0][i]!r}, {tops[1][i]!r}: {r!r}")
    return wrong, 2 * half


def _radii(size: int, rng: np.random.Generator) -> np.ndarray:
    corners = np.array(
        [
            0.0,
            np.inf,
            1.0,
            0.1,
            0.3,
            0.789,
            0.79,
            1e16,
            1e308,
            *_TINY,
            np.nextafter(1, 0),
            np.nextafter(0.5, 0),
        ]
    )
    decimals = np.round(rng.uniform(0, 10, size // 2), 3)
    return np.concatenate(
        [corners, decimals, np.nextafter(decimals, 0), 10 ** rng.uniform(-320, 300, size)]
    )[:size]


def units(size: int, rng: np.random.Generator) -> tuple[list[str], int]:
    """`sigma · radius`, in exact fractions."""
    radius, sigma, wrong = _radii(size, rng), _sigmas(size, rng), []
    radius = np.where(np.isfinite(radius) & (radius < 1e300), radius, 1.0)
    for r, s, product_ in zip(
        radius.tolist(), sigma.tolist(), in_input_units(radius, sigma).tolist(), strict=True
    ):
        if Fraction(product_) > Fraction(r) * Fraction(s):
            wrong.append(f"{r!r} times sigma {s!r} is {product_!r}")
    return wrong, size


def displays(size: int, rng: np.random.Generator) -> tuple[list[str], int]:
    """Printed numbers of reports and of logs are on the safe side.

    A printed radius is not above the number, and a printed upper bound not below it.
    """
    wrong = []
    for radius, digits in zip(
        _radii(size, rng).tolist(), rng.integers(0, 9, size).tolist(), strict=True
    ):
        exactly, text = Decimal(radius), floored(radius, digits)
        if not (
            Decimal(text) <= exactly
            and (np.isinf(radius) or Decimal(text) > exactly - Decimal(1).scaleb(-digits))
        ):
            wrong.append(f"{radius!r} is printed {text}")
        if Decimal(_printed(radius)) > exactly or Decimal(_printed(radius, up=True)) < exactly:
            wrong.append(f"{radius!r} is exported {_printed(radius)}, {_printed(radius, up=True)}")
    return wrong, 2 * size


def storage(size: int, rng: np.random.Generator) -> tuple[list[str], int]:
    """Parquet and JSON return every bit."""
    import pyarrow as pa

    radius = _radii(size, rng)
    others = {
        pa.string(): [""] * size,
        pa.list_(pa.int64()): [[0]] * size,
        pa.list_(pa.float64()): [[0.0]] * size,
    }
    columns = {
        name: pa.array(radius if name in ("radius", "p_lower") else np.zeros(size), pa.float64())
        if pa.types.is_floating(column.type)
        else pa.array(others.get(column.type, np.arange(size)), column.type)
        for name, column in COLUMNS.items()
    }
    from sosmooth.runs.schema import SCHEMA

    table = table_from_parquet(
        Path("results.parquet"), parquet_bytes(pa.table(columns, schema=SCHEMA))
    )
    back = json.load(io.StringIO(json.dumps(radius.tolist())))
    wrong = []
    for name, values in (("Parquet", table["radius"].to_numpy()), ("JSON", np.array(back))):
        wrong += [
            f"{radius[i]!r} comes back from {name} as {values[i]!r}"
            for i in np.flatnonzero(values.view(np.int64) != radius.view(np.int64))
        ]
    return wrong, 2 * size


#: Name → the stage, and the number of cases that costs about as much as 10⁵ of the cheapest.
STAGES: dict[str, tuple[Stage, float]] = {
    "proportions": (proportions, 1.0),
    "pair tails": (pair_tails, 1.0),
    "gradient norm": (gradient_norms, 1.0),
    "gradient of pairs": (pair_gradients, 1.0),
    "evidence": (evidence, 0.05),
    "first order": (first_order_radii, 1.0),
    "second order": (second_order_radii, 0.1),
    "dipole": (dipole_radii, 0.1),
    "second-order dipole": (second_order_dipole_radii, 0.1),
    "several classes": (radii_of_several_classes, 0.05),
    "units": (units, 1.0),
    "displays": (displays, 1.0),
    "storage": (storage, 1.0),
}
