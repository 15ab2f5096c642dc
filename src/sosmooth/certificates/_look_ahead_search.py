"""Good multipliers of the look-ahead programme. Any are sound; better ones give a larger radius."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import Floats
from sosmooth.certificates._look_ahead_dual import (
    ACROSS,
    FALL,
    RISE,
    VALUE,
    Grid,
    Value,
    dual,
)

# Where the search looks: across, nearly along û the programme has kinks between coarse nodes.
_COARSE, _MIDDLE = Grid.of(136), Grid.of(544)
_FLAT, _FLATTEST = 0.35, 0.06
# The last evaluation, which counts.
_FINE = Grid.of(1632)
_ENOUGH = 1e-8
# Bands that end beyond count as half-lines.
_END = 30.0
# Rows at a time of the finest grid.
_ROWS = 32


def first_multipliers(band: tuple[float, float], r: float, angle: float) -> Floats:
    """Those that give the value of a band `[u, v]` along `δ`, moved by r: second order, (5,).

    They are the chord of `w` over the band, as a function of the coordinate along `δ`.
    """
    (u, v), y = band, np.zeros(5)
    at_u, at_v = (np.exp(r * np.clip(end, -_END, _END) - 0.5 * r * r) for end in band)
    slope = (at_v - at_u) / (v - u) if u > -_END and v > u else 0.0
    y[VALUE] = at_v - slope * v
    along = slope * np.cos(angle)
    y[RISE], y[FALL], y[ACROSS] = max(along, 0.0), max(-along, 0.0), slope * np.sin(angle)
    return np.maximum(y, 0.0)


def better(y: Floats, prices: Floats, r: Floats, angle: Floats, rounds: int) -> Floats:
    """Multipliers with a larger dual, (5, n), by damped Newton steps.

    Args:
        y: to begin with, (5, n).
        prices: (5, 1).
        r: distances, (n,).
        angle: of `δ` to û, in (0, π), (n,).
        rounds: of Newton's method.
    """
    y = y.copy()
    flat = (angle < _FLAT) | (angle > np.pi - _FLAT)
    for grid, which in ((_COARSE, ~flat), (_MIDDLE, flat)):
        at = np.flatnonzero(which)
        if at.size:
            y[:, at] = _improved(y[:, at], prices, r[at], angle[at], grid, rounds)
    return y


def wrong_mass(y: Floats, prices: Floats, r: Floats, angle: Floats) -> Floats:
    """An upper bound of one minus the smoothed value, (n,), rounded up."""
    found = []
    for first in range(0, len(r), _ROWS):
        of = slice(first, first + _ROWS)
        at = dual(y[:, of], prices, r[of] * np.cos(angle[of]), r[of] * np.sin(angle[of]), _FINE)
        found.append(1 - at.value + at.slack)
    return np.concatenate(found) if found else np.zeros(0)


def _improved(
    y: Floats, prices: Floats, r: Floats, angle: Floats, grid: Grid, rounds: int
) -> Floats:
    """`better`, on one grid."""
    # Almost along û the multipliers hardly change, except the last, which grows with the sine.
    seen = np.clip(angle, _FLATTEST, np.pi - _FLATTEST)
    shrunk = np.sin(angle) / np.sin(seen)
    y = y.copy()
    y[ACROSS] /= shrunk
    a, b = r * np.cos(seen), r * np.sin(seen)
    here = dual(y, prices, a, b, grid)
    damping = np.full(len(r), 1e-3)
    for _ in range(rounds):
        step, expected = _step(y, here, damping)
        trial = np.maximum(y + step, 0.0)
        there = dual(trial, prices, a, b, grid)
        rises = there.value > here.value
        y = np.where(rises, trial, y)
        here = Value(
            np.where(rises, there.value, here.value),
            here.slack,
            np.where(rises, there.gradient, here.gradient),
            np.where(rises[:, None, None], there.hessian, here.hessian),
        )
        damping = np.clip(np.where(rises, 0.15 * damping, 10 * damping), 1e-9, 1e6)
        if np.all(expected < _ENOUGH):
            break
    y[ACROSS] *= shrunk
    return y


def _step(y: Floats, at: Value, damping: Floats) -> tuple[Floats, Floats]:
    """A damped Newton step of those multipliers that are not held at 0, and what it should gain."""
    held = (y <= 0) & (at.gradient <= 0)
    free: NDArray[np.float64] = (~held).T.astype(np.float64)
    curve = -at.hessian * free[:, :, None] * free[:, None, :]
    size = np.maximum(np.einsum("nii->ni", curve), 1e-6)
    curve = curve + np.einsum("ni,ij->nij", damping[:, None] * size + 1e-9 + (1 - free), np.eye(5))
    rhs = at.gradient.T * free
    bad = ~np.isfinite(curve).all(axis=(1, 2)) | ~np.isfinite(rhs).all(axis=1)
    curve[bad], rhs[bad] = np.eye(5), 0.0
    step = np.linalg.solve(curve, rhs[..., None])[..., 0]
    return step.T, 0.5 * np.abs(step * rhs).sum(axis=1)
