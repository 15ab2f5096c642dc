"""The same quantities to 50 digits with mpmath.

They are written from the theorems and have no code in common with the package.
"""

import math

import mpmath as mp

mp.mp.dps = 50
HALF = mp.mpf(1) / 2
# Newton's steps stop below this relative size: far below float64, far above mpmath's precision.
_TOLERANCE = mp.mpf(10) ** -42


def upper_tail(z):
    """`1 − Φ(z)`."""
    return mp.erfc(z / mp.sqrt(2)) / 2


def density(z):
    return mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi)


def quantile_from_tail(tail):
    """The `z` with `1 − Φ(z) = tail`.

    Newton's method on the logarithm of the tail, which is concave.
    """
    tail = mp.mpf(tail)
    if tail == 0 or tail == 1:
        return mp.inf if tail == 0 else -mp.inf
    if tail > HALF:
        return -quantile_from_tail(1 - tail)
    # Not far left of the root, where Newton on a concave function is safe.
    z = mp.sqrt(-2 * mp.log(2 * tail))
    for _ in range(200):
        here = upper_tail(z)
        step = (mp.log(here) - mp.log(tail)) * here / density(z)
        z += step
        if abs(step) <= _TOLERANCE * max(1, abs(z)):
            return z
    raise ArithmeticError("no quantile")


def largest_gradient(error):
    """`φ(Φ⁻¹(p))` for `p = 1 − error`."""
    return density(quantile_from_tail(error)) if error > 0 else mp.mpf(0)


def band(error, gamma):
    """Theorem 1's interval for `p = 1 − error`."""
    error, gamma = mp.mpf(error), mp.mpf(gamma)
    if gamma >= largest_gradient(error):
        return -mp.inf, quantile_from_tail(error)
    low, high = error / 2, error  # the mass right of the band
    right = (low + high) / 2
    for _ in range(500):
        u, v = -quantile_from_tail(error - right), quantile_from_tail(right)
        excess = density(v) - density(u) - gamma
        low, high = (low, right) if excess > 0 else (right, high)
        following = right - excess / (v - u)
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - right) <= _TOLERANCE * right:
            return -quantile_from_tail(error - following), quantile_from_tail(following)
        right = following
    raise ArithmeticError("no band")


def half_line_and_slab(c_s, c_n):
    """Theorem 3's two intervals."""
    c_s, c_n = mp.mpf(c_s), mp.mpf(c_n)
    c_n = min(c_n, (1 - c_s) / 2)
    s = quantile_from_tail((1 - c_s) / 2)
    return [(-mp.inf, -quantile_from_tail(c_n)), (-s, s)]


def pairs_and_gradient(c_s, c_n, gamma):
    """The three cases in 50 digits."""
    c_s, c_n, gamma = mp.mpf(c_s), mp.mpf(c_n), mp.mpf(gamma)
    c_n = min(c_n, (1 - c_s) / 2)
    s, t = quantile_from_tail((1 - c_s) / 2), quantile_from_tail((1 - c_s - 2 * c_n) / 2)
    at_s, at_t = density(s), density(t) if mp.isfinite(t) else mp.mpf(0)
    if gamma < at_s - at_t:
        m = mp.sqrt(-2 * mp.log(mp.sqrt(2 * mp.pi) * (at_s + at_t + gamma) / 2))
        return [(-t, -m), (-s, m)]
    if gamma >= largest_gradient(c_n):
        return [(-mp.inf, -quantile_from_tail(c_n)), (-s, s)]
    u, v = band(1 - c_n, gamma)
    return [tuple(sorted((-v, -u))) if abs(v) > abs(u) else (u, v), (-s, s)]


def measure(intervals, shift):
    return mp.fsum(upper_tail(u - shift) - upper_tail(v - shift) for u, v in intervals)


def assert_radius(radius, intervals, *, relative=1e-10, absolute=1e-13):
    """Assert that `radius` is at most the true one, and within the tolerance of it.

    The measure falls with the distance. The absolute part of the tolerance counts only below 1e-3,
    where p exceeds one half by no more than the rounding of a few masses.
    """
    radius = float(radius)
    assert measure(intervals, 0) > HALF or radius == 0
    if math.isinf(radius):
        assert measure(intervals, 0) == 1
        return
    assert radius == 0 or measure(intervals, mp.mpf(radius)) >= HALF, "above the true radius"
    assert measure(intervals, mp.mpf(radius) * (1 + mp.mpf(relative)) + mp.mpf(absolute)) <= HALF, (
        "too far below the true radius"
    )


def binomial_upper_tail(count, n, p):
    """`P(Binomial(n, p) ≥ count)`, for p left of count/n, summed until the terms vanish."""
    count, n, p = int(count), int(n), mp.mpf(p)
    if count == 0:
        return mp.mpf(1)
    if p == 0:
        return mp.mpf(0)
    if p == 1:
        return mp.mpf(1)
    log_choose = mp.loggamma(n + 1) - mp.loggamma(count + 1) - mp.loggamma(n - count + 1)
    term = mp.exp(log_choose + count * mp.log(p) + (n - count) * mp.log1p(-p))
    total, odds = term, p / (1 - p)
    for k in range(count, n):
        term *= odds * (n - k) / (k + 1)
        total += term
        if term < total * mp.mpf(10) ** -25:
            break
    return total
