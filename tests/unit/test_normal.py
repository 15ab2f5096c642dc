"""The float noise has the Gaussian's tail, also where torch's own normals end."""

import numpy as np
import pytest
import torch
from scipy import stats

from sosmooth import SmoothedClassifier
from sosmooth.sampling import normal
from sosmooth.sampling.launches import LAUNCH_ELEMENTS, check_threads
from sosmooth.sampling.noise import Block, NoiseSource, Stage

CPU = torch.device("cpu")
#: A check of a count fails by chance with this probability.
CHANCE = 1e-6
LARGEST = 2**63 - 1


def words(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.empty(count, dtype=torch.int64).random_(-(2**63), None, generator=generator)


def counts_beyond(thresholds, blocks):
    source, out = NoiseSource(0, CPU), torch.empty(256, 4096)
    found = np.zeros(len(thresholds), dtype=int)
    for number in range(blocks):
        source.fill(out, Block(0, 0, Stage.ESTIMATION, number, len(out)))
        large = out[out.abs() > min(thresholds)].abs().double().numpy()
        found += [np.count_nonzero(large > threshold) for threshold in thresholds]
    return found, blocks * out.numel()


def assert_binomial(found, draws, probability):
    assert stats.binomtest(int(found), draws, probability).pvalue > CHANCE


def test_as_many_numbers_as_the_gaussian_has_lie_beyond_where_torchs_end():
    thresholds = [4.0, 4.5, 5.0, 5.5, 5.768]
    found, draws = counts_beyond(thresholds, 128)
    for threshold, count in zip(thresholds, found, strict=True):
        assert_binomial(count, draws, 2 * stats.norm.sf(threshold))
    assert found[-1] > 0  # torch's own end there; this seed draws one beyond


def test_the_numbers_beyond_the_cut_are_the_gaussians():
    tail = normal._beyond(words(10**6)).double().numpy()
    assert_binomial(np.count_nonzero(tail > 0), len(tail), 0.5)
    assert stats.kstest(stats.norm.sf(np.abs(tail)) / (normal.BEYOND / 2), "uniform").pvalue > 1e-6
    for threshold in (5.5, 5.768, 6.0):
        share = 2 * stats.norm.sf(threshold) / normal.BEYOND
        assert_binomial(np.count_nonzero(np.abs(tail) > threshold), len(tail), share)


def test_the_numbers_within_the_cut_are_the_gaussians():
    near = normal._within(words(10**6)).double().numpy()
    assert np.abs(near).max() <= normal.CUT
    truncated = stats.truncnorm(-normal.CUT, normal.CUT)
    assert stats.kstest(near, truncated.cdf).pvalue > 1e-6


def test_the_last_words_are_as_far_out_as_63_bits_reach():
    extreme = torch.tensor([0, -1, LARGEST, -(2**63)])
    far = normal._beyond(extreme)
    expected = stats.norm.isf(normal.BEYOND * 2.0**-65)
    assert far.tolist() == pytest.approx([expected, -expected, normal.CUT, -normal.CUT], rel=1e-6)
    near = normal._within(extreme)
    assert near.tolist() == pytest.approx([-normal.CUT] * 2 + [normal.CUT] * 2, rel=1e-6)


def test_positions_are_those_of_independent_trials():
    positions = normal._positions(words(10**6)).numpy()
    gaps = np.diff(positions, prepend=-1)
    assert gaps.min() >= 1
    for length in (1, 100, 10_000, 100_000):
        expected = (1 - normal.BEYOND) ** length
        assert_binomial(np.count_nonzero(gaps > length), len(gaps), expected)


@pytest.mark.parametrize("numbers", [1, 49, 3072, 10**5, 2**20])
def test_there_is_room_for_all_that_lie_beyond(numbers):
    room = normal.room_for(numbers)
    for probability in (normal.BEYOND, normal.BEYOND + 2.0**-24):
        assert stats.binom.sf(room - 1, numbers, probability) < 2.0**-80


@pytest.mark.parametrize("numbers", [1, 2, 15, 16, 49, 100_000])
def test_numbers_outside_are_replaced_in_order_and_alike_on_a_gpu(numbers):
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.normal(0, 3, numbers).astype(np.float32))
    values[0] = torch.nan
    room = numbers + 3
    within, beyond = torch.linspace(-1, 1, room), torch.linspace(5, 6, room)
    positions = torch.from_numpy(np.cumsum(rng.integers(1, 9, room)) - 1)
    expected = values.clone()
    outside = [i for i, value in enumerate(values.tolist()) if not abs(value) <= normal.CUT]
    for value, i in zip(within, outside, strict=False):
        expected[i] = value
    for value, i in zip(beyond, [p for p in positions.tolist() if p < numbers], strict=False):
        expected[i] = value
    for replace in (normal._replace, normal._replace_on_gpu):
        out = values.clone()
        replace(out, within, positions, beyond)
        assert torch.equal(out, expected)


class Pieces:
    """Replaces a tensor of a GPU: records the sizes of what is drawn at once."""

    is_cuda = True

    def __init__(self, numbers):
        self.numbers = numbers

    def split(self, size):
        return self.numbers.split(size)


@pytest.mark.parametrize("numbers", [1, 49, LAUNCH_ELEMENTS, LAUNCH_ELEMENTS + 1, 2**20, 150_528])
def test_no_launch_on_a_gpu_is_larger_than_every_gpu_maps_alike(numbers):
    from sosmooth.sampling.launches import launches

    pieces = launches(Pieces(torch.arange(numbers)))
    assert max(map(len, pieces)) <= LAUNCH_ELEMENTS
    assert torch.equal(torch.cat(pieces), torch.arange(numbers))


def blocks_of_a_launch(numbers, multiprocessors, threads):
    """Torch's `calc_execution_policy` in Python."""
    return min(multiprocessors * (threads // 256), -(-numbers // 256))


@pytest.mark.parametrize(
    ("multiprocessors", "threads"), [(108, 2048), (132, 2048), (40, 1024), (16, 1536), (16, 1024)]
)
def test_gpus_that_are_taken_map_a_launch_alike(multiprocessors, threads):
    check_threads("GPU", multiprocessors, threads)
    for numbers in (1, 257, LAUNCH_ELEMENTS):
        assert blocks_of_a_launch(numbers, multiprocessors, threads) == -(-numbers // 256)


def test_a_gpu_that_would_map_a_launch_otherwise_is_refused():
    assert blocks_of_a_launch(LAUNCH_ELEMENTS, 14, 1024) < LAUNCH_ELEMENTS // 256
    with pytest.raises(ValueError, match=r"Small holds 14336 threads .* use another GPU"):
        check_threads("Small", 14, 1024)


class Within:
    """Class 1 where all coordinates are within `limit`, else 0."""

    def __init__(self, limit):
        self.limit = limit

    def __call__(self, x):
        return (x.flatten(1).abs().amax(1) <= self.limit).long()


@pytest.mark.slow
@pytest.mark.parametrize(("dimension", "n"), [(150_528, 10_000), (2**25, 40)])
def test_a_classifier_that_looks_for_the_tail_is_not_certified_beyond_the_truth(dimension, n):
    truth = np.exp(dimension * np.log1p(-2 * stats.norm.sf(5.77)))
    smoothed = SmoothedClassifier(Within(5.77), sigma=1.0, num_classes=2, batch_size=2)
    found = smoothed.certify(torch.zeros(1, dimension), method="first_order", n0=2, n=n, seed=0)
    assert found.selected[0] == 1
    assert found.bounds.p_lower[0] <= truth
    assert_binomial(found.tally.count_top[0], n, truth)
