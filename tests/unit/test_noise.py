"""The noise: its source, what it does not depend on, and that it is Gaussian."""

import numpy as np
import pytest
import torch
from scipy import stats

from sosmooth.sampling.noise import (
    Block,
    BlockGenerators,
    NoiseSource,
    Stage,
    block_vectors,
    blocks_of,
)

CPU = torch.device("cpu")


def drawn(seed=0, index=0, stage=Stage.ESTIMATION, number=0, shape=(64, 5)):
    out = torch.empty(shape)
    NoiseSource(seed, CPU).fill(out, Block(0, index, stage, number, shape[0]))
    return out


def test_a_block_is_a_function_of_its_four_numbers():
    source, out = NoiseSource(3, CPU), torch.empty(64, 5)
    # Neither what was drawn before nor the place of the input in its batch matters.
    source.fill(out, Block(0, 9, Stage.SELECTION, 1, 64))
    source.fill(out, Block(7, 4, Stage.ESTIMATION, 2, 64))
    assert torch.equal(out, drawn(3, 4, Stage.ESTIMATION, 2))


@pytest.mark.parametrize(
    "other",
    [{"seed": 2**32}, {"index": 2**32}, {"stage": Stage.SELECTION}, {"number": 2**32}, {"seed": 1}],
)
def test_blocks_differ_wherever_a_number_differs_even_beyond_32_bits(other):
    assert not torch.equal(drawn(), drawn(**other))


def test_the_generator_is_numpys_mersenne_twister_with_the_state_that_was_set():
    generator = BlockGenerators(11, CPU).at(Block(0, 5, Stage.ESTIMATION, 2, 0))
    reference = np.random.MT19937()
    words = (
        np.random.Philox(key=[11, 5], counter=[0, 0, 2, int(Stage.ESTIMATION)])
        .random_raw(312)
        .view(np.uint32)
    )
    reference.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": 624}}
    expected = reference.random_raw(2000).astype(np.uint64) & 0xFFFFFFFF
    found = torch.empty(2000, dtype=torch.int64).random_(2**24, generator=generator)
    assert np.array_equal(found.numpy() % 2**24, expected % 2**24)


def test_it_is_standard_normal_and_uncorrelated_across_blocks():
    noise = torch.cat([drawn(number=number, shape=(4096, 7)) for number in range(40)]).double()
    n = noise.numel()
    assert stats.kstest(noise.flatten().numpy()[:200_000], "norm").pvalue > 1e-6
    assert abs(noise.mean()) < 5 / n**0.5
    assert abs(noise.square().mean() - 1) < 5 * (2 / n) ** 0.5
    covariance = noise.T @ noise / len(noise) - torch.eye(7)
    assert covariance.abs().max() < 6 * (2 / len(noise)) ** 0.5
    across = (drawn(number=0, shape=(4096, 7)) * drawn(number=1, shape=(4096, 7))).mean()
    assert abs(across) < 5 / (4096 * 7) ** 0.5


@pytest.mark.parametrize("dimension", [1, 2, 49, 3072, 150_528, 10**8])
@pytest.mark.parametrize("vectors", [1, 2, 50, 4096, 10_001])
def test_blocks_make_up_the_samples_and_pairs_never_straddle_them(dimension, vectors):
    blocks = list(blocks_of(0, 0, Stage.ESTIMATION, vectors, dimension))
    assert sum(block.vectors for block in blocks) == vectors
    assert [block.number for block in blocks] == list(range(len(blocks)))
    assert block_vectors(dimension) % 2 == 0
    assert all(block.vectors == block_vectors(dimension) for block in blocks[:-1])


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(ValueError, match="seed must be"):
        NoiseSource(seed, CPU)
