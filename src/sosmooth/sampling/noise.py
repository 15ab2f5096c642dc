"""Gaussian noise in blocks, each drawn by its own generator.

The state of a block's generator follows from (seed, index, stage, block) and from nothing else. So
tallies do not depend on the batch size, on the order of the inputs, on interruptions, or on the
number of workers. Two different blocks never share a state: the four numbers are the key and the
counter of a Philox generator, which is a bijection of its counter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
import torch

from sosmooth._numbers import whole_number
from sosmooth.sampling.launches import check_threads
from sosmooth.sampling.normal import fill_normal
from sosmooth.tally import CURVATURE_STEP

#: Names the rule by which a block becomes noise; a run that started under another rule cannot be
#: resumed. "philox-1" used torch's normals as they are, which end at 5.77 on the CPU.
SCHEME = "philox-2"

_BLOCK_ELEMENTS = 2**20
_BLOCK_VECTORS = 4096
_MT19937_WORDS = 624


class Stage(IntEnum):
    """What samples are for. Samples of one stage are never used for another."""

    SELECTION = 0
    ESTIMATION = 1
    PREDICTION = 2
    PROBE = 3  # a run recognises its classifier by the answers on these
    AXIS = 4  # the scores on these give the axis of look-ahead


@dataclass(frozen=True)
class Block:
    """Some noise vectors of one input. They are drawn, and given to a worker, at once.

    Attributes:
        position: of the input in this batch.
        index: of the input, the same in every batch.
        stage: what the samples are for.
        number: of the block among those of the input and the stage.
        vectors: how many noise vectors it has.
    """

    position: int
    index: int
    stage: Stage
    number: int
    vectors: int


def block_vectors(dimension: int) -> int:
    """Noise vectors in a full block: a power of two, so that no disjoint pair is in two blocks."""
    return min(_BLOCK_VECTORS, max(2, 2 ** int(math.log2(max(_BLOCK_ELEMENTS // dimension, 2)))))


def blocks_of(
    position: int, index: int, stage: Stage, vectors: int, dimension: int, *, first: int = 0
) -> Iterator[Block]:
    """The blocks that make up `vectors` noise vectors of one input; the last one may be short.

    Args:
        position: of the input in this batch.
        index: of the input.
        stage: what the samples are for.
        vectors: noise vectors.
        dimension: features of one input.
        first: number of the first block.
    """
    full = block_vectors(dimension)
    for number, start in enumerate(range(0, vectors, full), first):
        yield Block(position, index, stage, number, min(full, vectors - start))


class BlockGenerators:
    """Gives the generator of a block: on the device if that is CUDA, else on the CPU.

    On the CPU this sets the whole state of torch's Mersenne twister: `manual_seed` would keep 32
    bits, and among 10⁷ blocks thousands would coincide. On CUDA the Philox generator takes all 64
    bits of its seed.
    """

    def __init__(self, seed: int, device: torch.device):
        seed = checked_seed(seed)
        self._words = _PhiloxWords(seed)
        self._on_device = device.type == "cuda"
        if self._on_device:
            gpu = torch.cuda.get_device_properties(device)
            check_threads(gpu.name, gpu.multi_processor_count, gpu.max_threads_per_multi_processor)
        self._generator = torch.Generator(device if self._on_device else "cpu")
        self.device = self._generator.device
        if not self._on_device:
            self._state = _mersenne_state_template()

    def at(self, block: Block) -> torch.Generator:
        """The generator in the block's state; the next call changes that state."""
        words = self._words.of(block)
        if self._on_device:
            return self._generator.manual_seed(int(words[0]))
        self._state[_STATE_WORDS] = words.view(np.uint32)
        return self._generator.set_state(torch.from_numpy(self._state.view(np.uint8)))


class Noise(Protocol):
    """Draws blocks of noise and adds them.

    The noise is floats (`NoiseSource`), or integers on the inputs' lattice (`LatticeNoise`).
    """

    #: The type of the blocks.
    dtype: torch.dtype

    def fill(self, out: torch.Tensor, block: Block) -> None:
        """Fill `out`, (vectors, …) on the device, with the block's noise."""
        ...

    def centers(self, inputs: torch.Tensor) -> torch.Tensor:
        """Inputs in the form that noise is added to."""
        ...

    def add(
        self, center: torch.Tensor, noise: torch.Tensor, *, sign: int, out: torch.Tensor
    ) -> None:
        """Write `center + sign · ε` to `out`.

        Args:
            center: an input, as `centers` returned it.
            noise: as drawn, (vectors, …).
            sign: +1 or −1.
            out: of the inputs' dtype, (vectors, …).
        """
        ...

    def standard(self, noise: torch.Tensor) -> torch.Tensor:
        """The noise as `ε/σ`, float64, for statistics of the gradient."""
        ...

    def rounded(self, noise: torch.Tensor) -> torch.Tensor:
        """The noise as `ε/σ` to the nearest `CURVATURE_STEP`, in units of it, float64."""
        ...

    def spread(self, noise: torch.Tensor) -> torch.Tensor | None:
        """What the square of `standard` lacks of the mean of `(ε/σ)²`, given the noise.

        Returns:
            In units of `CURVATURE_STEP²`, to the nearest one, float64; None where it is 0.
        """
        ...

    def check(self) -> None:
        """Raise an error if a block that was filled is not valid noise."""
        ...


class NoiseSource:
    """Blocks of standard normal float32 noise.

    Args:
        seed: whole number in [0, 2^64).
        device: where the noise is used.
        sigma: noise level, input units; `add` multiplies by it.
    """

    dtype = torch.float32

    def __init__(self, seed: int, device: torch.device, *, sigma: float = 1.0):
        self._generators = BlockGenerators(seed, device)
        self._sigma = sigma

    def fill(self, out: torch.Tensor, block: Block) -> None:
        """Fill `out`, float32 (vectors, …) on the device, with noise in units of sigma."""
        generator = self._generators.at(block)
        if out.device.type == generator.device.type:
            fill_normal(out, generator)
        else:
            drawn = torch.empty(out.shape)
            fill_normal(drawn, generator)
            out.copy_(drawn)

    def centers(self, inputs: torch.Tensor) -> torch.Tensor:
        """The inputs themselves."""
        return inputs

    def add(
        self, center: torch.Tensor, noise: torch.Tensor, *, sign: int, out: torch.Tensor
    ) -> None:
        """Write `center + sign · sigma · noise` to `out`."""
        torch.add(center, noise, alpha=sign * self._sigma, out=out)

    def standard(self, noise: torch.Tensor) -> torch.Tensor:
        """The noise in float64."""
        return noise.double()

    def rounded(self, noise: torch.Tensor) -> torch.Tensor:
        """The noise in whole steps, float64."""
        # Below 2^24 float32 holds every whole number; |z| < 11.
        return (noise / CURVATURE_STEP).round_().double()

    def spread(self, noise: torch.Tensor) -> None:
        """None: the noise is `ε/σ` itself."""

    def check(self) -> None:
        """Nothing to check: this noise is always valid."""


class _PhiloxWords:
    """Random words of a block: Philox, key (seed, index), counter (0, 0, block, stage)."""

    def __init__(self, seed: int):
        # One generator for all blocks, set anew each time: a new one would read entropy from the
        # system, which is not needed.
        self._philox = np.random.Philox(key=np.array([seed, 0], dtype=np.uint64))
        self._state = self._philox.state
        self._seed = seed

    def of(self, block: Block) -> np.ndarray:
        """So many 64-bit words that they fill the state of a Mersenne twister."""
        self._state["state"]["key"] = np.array([self._seed, block.index], dtype=np.uint64)
        self._state["state"]["counter"] = np.array(
            [0, 0, block.number, int(block.stage)], dtype=np.uint64
        )
        self._philox.state = self._state
        return self._philox.random_raw(_MT19937_WORDS // 2)


def float64_device(device: torch.device) -> torch.device:
    """The device, or the CPU instead of MPS, which has no float64."""
    return torch.device("cpu") if device.type == "mps" else device


def checked_seed(seed: float) -> int:
    """The seed as an int.

    Raises:
        ValueError: it is not a whole number in [0, 2^64), so it is no key of the generator.
    """
    return whole_number("seed", seed, least=0, below=2**64)


# In the state of torch's CPU generator, as 64-bit words, the twister's 624 words of 32 bits begin
# with the fourth.
_STATE_WORDS = slice(3, 3 + _MT19937_WORDS)


def _mersenne_state_template() -> np.ndarray:
    """A newly seeded state as 64-bit words; its layout is checked, since `at` writes into it."""
    generator = torch.Generator("cpu").manual_seed(0)
    state = generator.get_state().numpy().copy().view(np.uint64)
    reference = np.random.MT19937()
    reference._legacy_seeding(0)
    if not np.array_equal(state[_STATE_WORDS], reference.state["state"]["key"]):
        raise RuntimeError(
            f"torch {torch.__version__} stores the state of its CPU generator in a layout that"
            " sosmooth does not know; use a version of torch that pyproject.toml allows"
        )
    return state
