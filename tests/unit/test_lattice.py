"""Exact noise.

Its law is enumerated, its tables are compared with high precision, and points stay on the lattice.
"""

from bisect import bisect_left
from collections import Counter
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from scipy import special

from sosmooth import METHODS, SmoothedClassifier
from sosmooth.sampling.counts import Estimation
from sosmooth.sampling.engine import Engine
from sosmooth.sampling.evaluator import Evaluator
from sosmooth.sampling.lattice import (
    _ALL_WORDS,
    _CACHED_WORDS,
    _SHORT_BITS,
    _STRADDLES,
    LatticeNoise,
    UndecidedNoise,
    check_on_lattice,
    multiples_per_unit,
)
from sosmooth.sampling.noise import Block, BlockGenerators, Stage
from sosmooth.sampling.rounded_gaussian import rounded_gaussian
from sosmooth.sampling.sums import Part
from sosmooth.tally import Design

CPU = torch.device("cpu")
LAWS = [(0.25, 1), (0.5, 1), (3.7, 1), (0.12, 255), (0.25, 255), (1.0, 4080)]


def law_of(sigma, per_unit):
    return rounded_gaussian(Fraction(sigma) * per_unit)


def masses(law):
    """P(Q = k), k = 0, 1, …, float64."""
    upper = law.thresholds / 2.0**63
    return np.concatenate([upper[:1], np.diff(upper) / 2])


@pytest.mark.parametrize(("sigma", "per_unit"), LAWS)
def test_thresholds_means_and_variances_are_those_of_high_precision(sigma, per_unit):
    law, cells = law_of(sigma, per_unit), len(law_of(sigma, per_unit).thresholds)
    chosen = np.unique(
        np.concatenate([np.arange(min(cells, 40)), np.linspace(0, cells - 1, 100).astype(int)])
    )
    with mpmath.workprec(300):
        root, steps = mpmath.sqrt(2), mpmath.mpf(sigma) * per_unit
        for k in chosen.tolist():
            a, b = (k - mpmath.mpf(0.5)) / steps, (k + mpmath.mpf(0.5)) / steps
            assert int(mpmath.floor(2**63 * mpmath.erf(b / root))) == law.thresholds[k]
            mass = (mpmath.erfc(a / root) - mpmath.erfc(b / root)) / 2
            mean = (mpmath.npdf(a) - mpmath.npdf(b)) / mass
            square = 1 + (a * mpmath.npdf(a) - b * mpmath.npdf(b)) / mass
            assert law.means[k] == pytest.approx(float(mean), rel=5e-16, abs=0)
            assert law.variances[k] == pytest.approx(float(square - mean**2), rel=5e-16, abs=0)
    assert np.all(np.diff(law.thresholds) >= 0)
    assert law.thresholds[-1] == 2**63 - 1 > law.thresholds[-2]


@pytest.mark.parametrize(("sigma", "per_unit"), LAWS)
def test_every_one_of_the_2_to_the_64_words_has_its_place_and_opposite_words_opposite_noise(
    sigma, per_unit
):
    noise, thresholds = (
        LatticeNoise(0, CPU, sigma=sigma, lattice=1 / per_unit),
        law_of(sigma, per_unit).thresholds.tolist(),
    )
    table, shift = noise._short_table.tolist(), 64 - _SHORT_BITS
    found: Counter = Counter()
    for number in np.flatnonzero(noise._short_table.numpy() != _STRADDLES).tolist():
        found[table[number]] += 2**shift
    distinct, stretches = np.unique(thresholds).tolist(), []
    for number in np.flatnonzero(noise._short_table.numpy() == _STRADDLES).tolist():
        # The words with these first bits, in intervals between the thresholds; the first and the
        # last of each interval are asked.
        first = (number - len(table) // 2) << shift
        low = first if first >= 0 else ~(first + 2**shift - 1)
        inside = distinct[bisect_left(distinct, low) : bisect_left(distinct, low + 2**shift)]
        ends = zip([low, *(t + 1 for t in inside)], [*inside, low + 2**shift], strict=True)
        stretches += [(a, b - 1) if first >= 0 else (~a, ~(b - 1)) for a, b in ends if a < b]
    values = noise._by_search(torch.tensor(stretches), 0)
    # The way of the CPU finds the same.
    again = noise._by_first_cell(np.ravel(stretches), 0)
    assert again.tolist() == values.flatten().tolist()
    assert torch.equal(values[:, 0], values[:, 1])
    for (a, b), value in zip(stretches, values[:, 0].tolist(), strict=True):
        found[value] += abs(b - a) + 1
    noise.check()
    for k, threshold in enumerate(thresholds):
        words = threshold if k == 0 else max(threshold - thresholds[k - 1] - 1, 0)
        assert (found[k], found[-k]) == ((2 * words,) * 2 if k == 0 else (words, words))
    assert sum(found.values()) + 2 * len(distinct) == 2**64


@pytest.mark.parametrize(
    "drawing",
    [
        LatticeNoise._by_search,
        lambda noise, words, index: noise._by_first_cell(words.numpy(), index),
    ],
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_word_on_a_threshold_is_refused_and_its_neighbours_are_not(drawing, mirrored):
    threshold = int(law_of(0.25, 255).thresholds[5])
    words = torch.tensor([threshold - 1, threshold + 1, threshold])
    words = ~words if mirrored else words
    noise = LatticeNoise(0, CPU, sigma=0.25, lattice=1 / 255)
    assert drawing(noise, words[:2], 41).tolist() == ([-5, -6] if mirrored else [5, 6])
    noise.check()
    drawing(noise, words, 41)
    with pytest.raises(UndecidedNoise, match=r"input 41: .* another seed"):
        noise.check()


def drawn(noise, number=0, index=3, shape=(5000, 7)):
    out = torch.empty(shape, dtype=torch.int32)
    noise.fill(out, Block(0, index, Stage.ESTIMATION, number, shape[0]))
    return out


@pytest.mark.parametrize(("sigma", "per_unit"), LAWS)
def test_a_block_is_its_words_one_a_coordinate_by_the_thresholds(sigma, per_unit):
    shape = (10_000, 13)  # more than one pass through the cache takes
    noise = LatticeNoise(5, CPU, sigma=sigma, lattice=1 / per_unit)
    generator = BlockGenerators(5, CPU).at(Block(0, 9, Stage.ESTIMATION, 2, shape[0]))
    values = drawn(noise, 2, 9, shape).flatten()
    for part in values.split(_CACHED_WORDS):
        four = torch.empty(-(-len(part) // 4), dtype=torch.int64)
        four.random_(*_ALL_WORDS, generator=generator)
        words = four.view(torch.int16)[: len(part)].long() << 48
        undecided = noise._short_table[(words >> 48) + 2**15] == _STRADDLES
        later = torch.empty(int(undecided.sum()), dtype=torch.int64)
        words[undecided] |= later.random_(*_ALL_WORDS, generator=generator) & (2**48 - 1)
        for rest in (0, 2**48 - 1):  # any other bits give the same where the first ones decide
            whole = torch.where(undecided, words, words | rest)
            cell = np.searchsorted(
                law_of(sigma, per_unit).thresholds, (whole ^ (whole >> 63)).numpy()
            )
            assert np.array_equal(part.numpy(), np.where(whole.numpy() < 0, -cell, cell))


def test_words_have_64_random_bits():
    words = torch.empty(100_000, dtype=torch.int64).random_(
        -(2**63), None, generator=BlockGenerators(0, CPU).at(Block(0, 0, Stage.ESTIMATION, 0, 1))
    )
    bits = (words.numpy()[:, None] >> np.arange(64)) & 1
    assert np.all(np.abs(bits.mean(0) - 0.5) < 5.5 * 0.5 / np.sqrt(len(words)))
    assert np.max(np.abs(np.corrcoef(bits.T) - np.eye(64))) < 6.5 / np.sqrt(len(words))


def test_the_drawn_frequencies_are_those_of_the_rounded_gaussian():
    noise = LatticeNoise(1, CPU, sigma=1.5, lattice=1)
    values = torch.cat([drawn(noise, number).flatten() for number in range(20)]).numpy()
    edges = np.arange(-7, 8)
    expected = np.diff(
        special.ndtr(np.concatenate([[-np.inf], (edges[:-1] + 0.5) / 1.5, [np.inf]]))
    )
    observed = np.bincount(np.clip(values, -7, 7) + 7, minlength=15)
    observed, expected = observed[: len(expected)], expected * len(values)
    statistic = np.sum((observed - expected) ** 2 / expected)
    assert special.chdtrc(len(expected) - 1, statistic) > 1e-6


def test_blocks_follow_from_seed_index_stage_and_number_alone():
    assert torch.equal(
        drawn(LatticeNoise(1, CPU, sigma=0.5, lattice=1 / 255)),
        drawn(LatticeNoise(1, CPU, sigma=0.5, lattice=1 / 255)),
    )
    noise = LatticeNoise(1, CPU, sigma=0.5, lattice=1 / 255)
    first = drawn(noise)
    assert not torch.equal(first, drawn(noise, number=1))
    assert not torch.equal(first, drawn(noise, index=4))
    assert torch.equal(first, drawn(noise))
    assert not torch.equal(first, drawn(LatticeNoise(2, CPU, sigma=0.5, lattice=1 / 255)))


@pytest.mark.parametrize(("sigma", "per_unit"), LAWS)
def test_means_give_the_gradient_of_a_rounded_threshold_and_are_no_wilder_than_the_noise(
    sigma, per_unit
):
    law, steps = law_of(sigma, per_unit), sigma * per_unit
    p, means = masses(law), law.means
    for k in range(0, len(p), max(1, len(p) // 20)):
        # f = 1[Q > k]: σ∇p is the density at the end of the cell.
        end = (k + 0.5) / steps
        assert np.sum(p[k + 1 :] * means[k + 1 :]) == pytest.approx(
            np.exp(-(end**2) / 2) / np.sqrt(2 * np.pi), rel=1e-9, abs=1e-15
        )
    second = 2 * np.sum(p[1:] * means[1:] ** 2)
    assert second < 1
    assert steps < 3 or second == pytest.approx(1 - 1 / (12 * steps**2), abs=1e-3 / steps**2)
    cells = np.arange(1, len(p))
    assert np.all((means[1:] > (cells - 0.5) / steps) & (means[1:] < (cells + 0.5) / steps))
    noise = LatticeNoise(0, CPU, sigma=sigma, lattice=1 / per_unit)
    values = torch.arange(1 - len(p), len(p), dtype=torch.int32).view(1, -1)
    assert torch.equal(
        noise.standard(values)[0], torch.from_numpy(np.concatenate([-means[:0:-1], means]))
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("per_unit", [1, 255, 4080])
def test_points_are_the_floats_of_the_data(per_unit, dtype):
    whole = np.arange(-3 * per_unit, 4 * per_unit + 1)
    data = (
        (whole.astype(np.float32) / np.float32(per_unit))
        if dtype is torch.float32
        else whole / per_unit
    )
    noise = LatticeNoise(0, CPU, sigma=0.5, lattice=1 / per_unit)
    centers = noise.centers(torch.from_numpy(data))
    assert np.array_equal(centers.numpy(), whole)
    check_on_lattice(torch.from_numpy(data)[None], 1 / per_unit)
    for sign in (1, -1):
        added, out = (
            torch.from_numpy(np.roll(whole, 11).astype(np.int32)),
            torch.empty(len(whole), dtype=dtype),
        )
        noise.add(centers, added, sign=sign, out=out)
        expected = whole + sign * np.roll(whole, 11)
        expected = (
            expected.astype(np.float32) / np.float32(per_unit)
            if dtype is torch.float32
            else expected / per_unit
        )
        assert np.array_equal(out.numpy(), expected)


def test_data_rounded_otherwise_are_on_the_lattice_too():
    pixels = np.arange(256)
    for data in (
        pixels.astype(np.float32) * np.float32(1 / 255),
        pixels / 255,
        (pixels / 255).astype(np.float32),
    ):
        check_on_lattice(torch.from_numpy(data)[None], 1 / 255)
        noise = LatticeNoise(0, CPU, sigma=0.5, lattice=1 / 255)
        assert np.array_equal(noise.centers(torch.from_numpy(data)).numpy(), pixels)


@pytest.mark.parametrize(
    ("value", "lattice"),
    [
        (0.5, 1 / 255),
        (0.2001, 1 / 255),
        (1 / 255, 1 / 4079),
        (5000.0, 1 / 255),
        (np.float32(np.float16(3 / 255)), 1 / 255),
    ],
)
def test_inputs_off_the_lattice_are_refused_by_name(value, lattice):
    inputs = torch.zeros(3, 4)
    inputs[2, 1] = float(value)
    smoothed = SmoothedClassifier(by_first_feature, sigma=0.5, num_classes=2, lattice=lattice)
    for call in (smoothed.certify, smoothed.predict):
        with pytest.raises(
            ValueError, match=r"input 2 of the batch has .* at feature 1: normalise inside"
        ):
            call(inputs, n=10)


@pytest.mark.parametrize(
    "lattice", [0.0, -1 / 255, 2.0, 0.3, float("nan"), float("inf"), 1e-9, 1 / 255.5]
)
def test_what_a_lattice_may_be(lattice):
    with pytest.raises(ValueError, match="lattice must be one over a whole number"):
        multiples_per_unit(lattice)


@pytest.mark.parametrize("sigma", [0.0009, 300.0])
def test_sigma_must_suit_the_lattice(sigma):
    with pytest.raises(
        ValueError,
        match=r"sigma must be 0.25 to 65536 steps of the lattice; sigma=.* steps of 0\.0039",
    ):
        SmoothedClassifier(by_first_feature, sigma=sigma, num_classes=2, lattice=1 / 255)


def by_first_feature(x):
    """A half-space whose border is half a step of 1/255 off the lattice.

    So rounding changes nothing.
    """
    return (x.flatten(1)[:, 0] > 110.5 / 255).long()


def engine(classifier=by_first_feature, batch_size=700):
    inputs = torch.tensor([[100.0, 3.0, 255.0], [90.0, 0.0, 7.0]]) / 255
    return Engine(Evaluator(classifier, 2, batch_size), inputs, sigma=0.25, seed=3, lattice=1 / 255)


@pytest.mark.parametrize("design", list(Design))
def test_counts_are_those_of_integers_added_by_hand_for_every_batch_size(design):
    share = 0.5 if design is Design.ANTITHETIC else None
    estimation = Estimation(17, design, 9000, 0, 3, share)
    (counts,) = engine().count([Part(1, estimation)])
    noise = LatticeNoise(3, CPU, sigma=0.25, lattice=1 / 255)
    vectors = 4500 if design is Design.ANTITHETIC else 9000
    q = torch.cat(
        [
            drawn(noise, 0, 17, (4096, 3)),
            drawn(noise, 1, 17, (4096, 3)),
            drawn(noise, 2, 17, (4096, 3)),
        ]
    )[:vectors]
    if design is Design.ANTITHETIC:  # the last block is short
        q[4096:] = drawn(noise, 1, 17, (vectors - 4096, 3))
    else:
        q[8192:] = drawn(noise, 2, 17, (vectors - 8192, 3))
    plus, minus = q[:, 0] + 90 <= 110, 90 - q[:, 0] <= 110
    last = minus if design is Design.ANTITHETIC else plus
    assert counts.sums["right"].tolist() == [
        int((plus & last).sum()),
        int(plus.sum()),
        int(last.sum()),
    ]
    z = torch.from_numpy(np.sign(q.numpy()) * law_of(0.25, 255).means[np.abs(q.numpy())])
    if design is Design.DISJOINT_PAIRS:
        products = float(((z[::2] * z[1::2]).sum(1) * (plus[::2] & plus[1::2])).sum())
        assert int(counts.sums["products"]) / 2**20 == pytest.approx(products, abs=1e-4)
    if share:
        h = 0.5 * (plus.double() - minus.double())[: vectors // 2]
        assert counts.sums["direction"] / 2**30 == pytest.approx(
            (h[:, None] * z[: vectors // 2]).sum(0).numpy(), abs=1e-6
        )
    for batch_size in (64, 50_000):
        (other,) = engine(batch_size=batch_size).count([Part(1, estimation)])
        assert {name: value.tolist() for name, value in other.sums.items()} == {
            name: value.tolist() for name, value in counts.sums.items()
        }


def test_all_points_are_on_the_lattice_and_pairs_are_opposite():
    seen = []

    def spy(x):
        seen.append(x.clone())
        return by_first_feature(x)

    list(engine(spy, 10_000).count([Part(0, Estimation(0, Design.ANTITHETIC, 2000, 0, 3))]))
    multiples = torch.cat(seen).double() * 255
    assert torch.all((multiples - multiples.round()).abs() < 1e-3)
    plus, minus = multiples.round().view(2, 1000, 3)
    assert torch.equal(plus + minus, torch.tensor([200.0, 6.0, 510.0]).expand(1000, 3).double())


@pytest.mark.parametrize("method", METHODS)
def test_exact_and_float_noise_certify_alike(method):
    inputs = torch.tensor([[60.0, 3.0, 255.0], [150.0, 30.0, 7.0]]) / 255
    radii = []
    for lattice in (None, 1 / 255):
        smoothed = SmoothedClassifier(
            by_first_feature, sigma=0.25, num_classes=2, batch_size=4096, lattice=lattice
        )
        certificates = smoothed.certify(inputs, method=method, n=20_000, alpha=0.01)
        assert certificates.prediction.tolist() == [0, 1]
        radii.append(certificates.radius)
    truth = np.array([50.5, 39.5]) / 255
    assert np.all(radii[1] <= truth)
    assert np.all(radii[1] > 0.8 * truth)
    assert radii[0] == pytest.approx(radii[1], abs=0.02)


@pytest.mark.parametrize("asked", [{"radius": 0.1}, {"tolerance": 0.02}, {"classes": "all"}])
def test_exact_noise_serves_every_way_to_certify(asked):
    inputs = torch.tensor([[60.0, 3.0, 255.0], [150.0, 30.0, 7.0]]) / 255
    smoothed = SmoothedClassifier(
        by_first_feature, sigma=0.25, num_classes=2, batch_size=4096, lattice=1 / 255
    )
    assert smoothed.certify(
        inputs, method="dipole_joint", n=20_000, **asked
    ).prediction.tolist() == [0, 1]
    assert smoothed.predict(inputs, n=200).tolist() == [0, 1]
