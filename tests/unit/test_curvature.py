"""Slope and curvature from pairs: exact sums, whatever is split, and the eigenvalues of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sosmooth.confidence.direction_bounds import curvature_rounding, slope_rounding
from sosmooth.sampling.counts import Counts, Estimation
from sosmooth.sampling.curvature import moments
from sosmooth.sampling.engine import Engine
from sosmooth.sampling.evaluator import Evaluator
from sosmooth.sampling.lattice import LatticeNoise
from sosmooth.sampling.noise import NoiseSource, Stage, blocks_of
from sosmooth.sampling.normal import _beyond
from sosmooth.sampling.spectrum import shortened, spectrum
from sosmooth.sampling.sums import Part
from sosmooth.tally import CURVATURE_CENTER_STEP, CURVATURE_KEPT, CURVATURE_STEP, Design

SIGMA, SEED, CPU = 0.5, 7, torch.device("cpu")
X = torch.tensor([[0.0, 0.25, 0.125, 0.5]])


def bowl(x):
    """Three classes; curved, and exact in float32 for the points of a lattice."""
    x = x.flatten(1)
    return ((x[:, 0] > 0.3) | (x[:, 1].abs() > 0.9)).long() + (x[:, 2] > 1.0).long()


def engine(batch_size=256, lattice=None):
    return Engine(Evaluator(bowl, 3, batch_size), X, sigma=SIGMA, seed=SEED, lattice=lattice)


def estimation(pairs, center, **more):
    return Estimation(
        5, Design.ANTITHETIC, 2 * pairs, 0, 4, curvature_center=center, num_classes=3, **more
    )


def counted(part, **of_engine):
    [counts] = engine(**of_engine).count([part])
    return counts


def drawn(pairs, lattice=None):
    """All the noise of the input, as drawn, and its source."""
    source = NoiseSource(SEED, CPU, sigma=SIGMA)
    if lattice is not None:
        source = LatticeNoise(SEED, CPU, sigma=SIGMA, lattice=lattice)
    parts = []
    for block in blocks_of(0, 5, Stage.ESTIMATION, pairs, 4):
        out = torch.empty(block.vectors, 4, dtype=source.dtype)
        source.fill(out, block)
        parts.append(out)
    return torch.cat(parts), source


def by_hand(pairs, center, lattice=None):
    """X̂ and Ĥ of real numbers, as they are defined."""
    noise, source = drawn(pairs, lattice)
    scale = SIGMA if lattice is None else lattice
    plus, minus = (bowl(X + sign * scale * noise.float()) == 0 for sign in (1, -1))
    u, h = 1 - 0.5 * (plus.double() + minus), 0.5 * (plus.double() - minus.double())
    z = source.standard(noise)
    squares = z[:, :, None] * z[:, None, :]
    if lattice is not None:
        law = 4096  # substeps of a cell: E[z² | cell] by the midpoint rule
        steps = SIGMA / lattice
        inside = (np.arange(law) + 0.5) / law - 0.5
        points = (noise.double().numpy()[..., None] + inside) / steps
        density = np.exp(-0.5 * points**2)
        given = (density * points**2).sum(-1) / density.sum(-1)
        squares[:, range(4), range(4)] = torch.from_numpy(given)
    hessian = -((u - center)[:, None, None] * (squares - torch.eye(4))).mean(0)
    return (h[:, None] * z).mean(0).numpy(), hessian.numpy()


def found(pairs, center, **of_engine):
    """X̂ and Ĥ from the sums."""
    sums = counted(Part(0, estimation(pairs, center)), **of_engine).sums
    wrong = pairs - 0.5 * sums["right"][1:].sum()
    return moments(
        sums["curvature_mean"], sums["curvature"], pairs=pairs, weight=wrong - center * pairs
    )


@pytest.mark.parametrize("center", [0.0, 0.1875, 0.5])
@pytest.mark.parametrize("pairs", [1, 7, 5000])
def test_the_sums_are_what_computing_by_hand_gives(pairs, center):
    for one, other in zip(found(pairs, center), by_hand(pairs, center), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=4 * CURVATURE_STEP)
    # Of rounded noise they are exact: only the last steps round.
    noise, _ = drawn(pairs)
    z = np.rint(noise.numpy().astype(np.float64) / CURVATURE_STEP).astype(object)
    plus, minus = (bowl(X + sign * SIGMA * noise).numpy() == 0 for sign in (1, -1))
    weight = np.array([32 - 16 * (int(a) + int(b)) for a, b in zip(plus, minus, strict=True)])
    exact = ((weight - round(center / CURVATURE_CENTER_STEP)).astype(object)[:, None] * z).T @ z
    sums = counted(Part(0, estimation(pairs, center))).sums
    assert sums["curvature"].tolist() == exact[np.triu_indices(4)].tolist()
    assert (
        sums["curvature_mean"].tolist() == ((plus.astype(int) - minus).astype(object) @ z).tolist()
    )


@pytest.mark.parametrize("steps", [4, 64])
def test_exact_noise_has_the_mean_square_of_its_cells_on_the_diagonal(steps):
    lattice = SIGMA / steps
    expected = by_hand(600, 0.125, lattice)
    for one, other in zip(found(600, 0.125, lattice=lattice), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=4 * CURVATURE_STEP)


@pytest.mark.parametrize("lattice", [None, 1 / 64])
@pytest.mark.parametrize("center", [0.0, 0.1875])
def test_parts_and_batches_add_up_to_the_bit(center, lattice):
    pairs = 20_000  # more than are added up in float64
    of = estimation(pairs, center, direction_share=0.5, curvature_share=0.1)
    whole = counted(Part(0, of), lattice=lattice)
    tally = whole.tally(of, SIGMA)
    first, rest = (0, of.direction_pairs), (of.direction_pairs, pairs)
    cuts = [(0, 4096), (4096, first[1]), (rest[0], 12_288), (12_288, pairs)]
    total = Counts({})
    for start, stop in cuts[1::-1]:
        total += counted(Part(0, of, start, stop), batch_size=64, lattice=lattice)
    direction = total.direction(of)[0]
    for start, stop in cuts[:1:-1]:
        total += counted(Part(0, of, start, stop, direction), batch_size=9999, lattice=lattice)
    for name, value in whole.sums.items():
        np.testing.assert_array_equal(total.sums[name], value)
    for name, value in total.tally(of, SIGMA).arrays().items():
        np.testing.assert_array_equal(getattr(tally, name), value)
    assert tally.curvature_share.tolist() == [0.1]
    assert tally.curvature_center.tolist() == [center]
    assert tally.curvature_eigenvalues.shape == tally.curvature_squares.shape == (1, 4)


def test_where_no_curvature_is_drawn_there_is_none_and_nothing_is_spent_on_it():
    counts = counted(Part(0, estimation(50, np.nan)))
    assert "curvature" not in counts.sums
    tally = counts.tally(estimation(50, np.nan), SIGMA)
    assert tally.curvature_share.tolist() == [0.0]
    assert np.isnan(tally.curvature_center).all()
    assert np.isnan(tally.curvature_eigenvalues).all()
    assert tally.curvature_squares.shape == (1, 4)
    of = estimation(50, None)
    assert counted(Part(0, of)).tally(of, SIGMA).curvature_center is None


def lowest(mean, hessian, mu, nu):
    """A value below `μ X̂·v + ν vᵀĤv` for all unit v, hardly below: by the theory page."""
    values, vectors = np.linalg.eigh(hessian)
    return trust_region(values, (mean @ vectors) ** 2, mu, nu)


def trust_region(theta, squares, mu, nu):
    """The largest `−λ − μ²/4 Σ s/(νθ + λ)` over many λ."""
    above = np.geomspace(1e-9, 1e3, 20_000) - nu * theta.min()
    return np.max(-above - 0.25 * mu**2 * np.sum(squares / (nu * theta + above[:, None]), axis=1))


@pytest.mark.parametrize("dimension", [1, 2, 30, 65, 200])
def test_the_stored_numbers_bound_slope_and_curvature_along_every_direction(dimension):
    rng = np.random.default_rng(dimension)
    hessian = rng.normal(size=(dimension, dimension)) / np.sqrt(dimension)
    hessian = 0.1 * (hessian + hessian.T)
    mean = rng.normal(size=dimension) * 0.3 / np.sqrt(dimension)
    full = spectrum(mean, hessian)
    short = shortened(*full)
    assert len(short[0]) == len(short[1]) == min(dimension, CURVATURE_KEPT)
    assert np.all(np.diff(short[0]) >= 0)
    assert 0 <= short[1].sum() - full[1].sum() < 1e-6
    assert (short[0][0], short[0][-1]) == (full[0][0], full[0][-1])
    for mu, nu in ((1.0, 0.0), (1.0, 1.0), (0.1, 1.0), (0.0, 1.0)):
        truth = lowest(mean, hessian, mu, nu)
        of_full, of_short = (trust_region(*of, mu, nu) for of in (full, short))
        assert of_short <= of_full <= truth
        assert of_full == pytest.approx(truth, abs=1e-6)
        assert of_short == pytest.approx(truth, abs=1e-4)


def test_wrong_eigenvectors_are_paid_for(monkeypatch):
    """Whatever a library returns, the values bound the matrix; nonsense is refused."""
    rng = np.random.default_rng(0)
    hessian, mean = np.diag(np.linspace(-0.2, 0.3, 20)), rng.normal(size=20) * 0.1
    vectors = np.linalg.qr(np.eye(20) + 1e-4 * rng.normal(size=(20, 20)))[0]
    vectors = vectors * (1 + 1e-5 * rng.normal(size=20))
    values = np.diag(hessian) + 1e-3 * rng.normal(size=20)
    given = torch.from_numpy(values), torch.from_numpy(vectors)
    monkeypatch.setattr(torch.linalg, "eigh", lambda matrix: given)
    bound = spectrum(mean, hessian)
    for mu, nu in ((1.0, 0.0), (1.0, 1.0), (0.1, 1.0), (0.0, 1.0)):
        truth = lowest(mean, hessian, mu, nu)
        assert truth - 0.02 < trust_region(*bound, mu, nu) <= truth
    monkeypatch.setattr(torch.linalg, "eigh", lambda matrix: (given[0], 2 * given[1]))
    with pytest.raises(ArithmeticError, match="eigenvectors"):
        spectrum(mean, hessian)


@pytest.mark.parametrize("pairs", [1, 40, 5000])
def test_rounding_the_noise_changes_both_means_by_no_more_than_is_charged(pairs):
    rng = np.random.default_rng(pairs)
    z = rng.standard_normal((100, pairs, 3))
    rounded = np.rint(z / CURVATURE_STEP) * CURVATURE_STEP
    v = rng.normal(size=(100, 3, 1))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    v[:30] = np.eye(3)[0][:, None]  # along an axis no errors cancel
    before, after = (z @ v)[..., 0], (rounded @ v)[..., 0]
    # The worst signs that a classifier could give the pairs.
    slope = 0.5 * np.abs(after - before).mean(axis=1)
    curvature = np.abs(after**2 - before**2).mean(axis=1)
    assert np.all(slope <= slope_rounding(pairs, 1e-6))
    assert np.all(curvature <= curvature_rounding(pairs, 1e-6))


def test_what_is_charged_for_rounding_is_small():
    assert slope_rounding(50_000, 1e-9) < 0.27 * CURVATURE_STEP
    assert curvature_rounding(50_000, 1e-9) < 1.06 * CURVATURE_STEP
    with pytest.raises(ValueError, match="alpha"):
        slope_rounding(50_000, 0.0)


def test_all_noise_is_shorter_than_the_grid_has_room_for():
    """Then float32 holds every rounded number, z/s < 2^24, exactly."""
    words = torch.tensor([0, -1, 2**63 - 1, -(2**63)])
    assert _beyond(words).abs().max() < 11
    assert 11 / CURVATURE_STEP < 2**24
