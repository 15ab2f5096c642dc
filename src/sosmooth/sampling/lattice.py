"""Exact noise: a Gaussian rounded to the lattice of the inputs, drawn and added as integers.

Proofs: docs/theory/exact.md.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import torch

from sosmooth.sampling.launches import launches
from sosmooth.sampling.noise import (
    Block,
    BlockGenerators,
    Noise,
    NoiseSource,
    float64_device,
)
from sosmooth.sampling.rounded_gaussian import FEWEST_STEPS, MOST_STEPS, rounded_gaussian
from sosmooth.tally import CURVATURE_STEP

#: Names the rule by which words become noise; a run that started under another rule cannot be
#: resumed. "lattice-2" drew all 64 bits of every word; on a GPU it is the same.
SCHEME = "lattice-3"

# With the largest noise added, such integers are exact in float32.
_MOST_MULTIPLES = 2**20
_MOST_PER_UNIT = 2**16
# Relative error allowed for the inputs: a few roundings to float32.
_ROUNDING = 2.0**-22
_CHUNK = 256


class UndecidedNoise(RuntimeError):
    """64 random bits fell on a threshold, so they do not decide which integer the noise is.

    No sample may be made of them.
    """


def multiples_per_unit(lattice: float) -> int:
    """N of the lattice of the multiples of 1/N.

    Raises:
        ValueError: `lattice` is not 1/N for a whole N in [1, 65536].
    """
    per_unit = round(1 / lattice) if math.isfinite(lattice) and lattice > 2.0**-17 else 0
    if not (1 <= per_unit <= _MOST_PER_UNIT and abs(per_unit * lattice - 1) <= 1e-9):
        raise ValueError(
            f"lattice must be one over a whole number of at most {_MOST_PER_UNIT}, such as 1/255"
            f" for 8-bit images; got {lattice!r}"
        )
    return per_unit


def steps_per_sigma(sigma: float, lattice: float) -> Fraction:
    """`σ/Δ`, exactly.

    Raises:
        ValueError: `lattice` is not 1/N, or there is no exact noise for this number of steps.
    """
    steps = Fraction(sigma) * multiples_per_unit(lattice)
    if not FEWEST_STEPS <= steps <= MOST_STEPS:
        raise ValueError(
            f"sigma must be {float(FEWEST_STEPS):g} to {MOST_STEPS} steps of the lattice;"
            f" sigma={sigma!r} is {float(steps):g} steps of {lattice!r}"
        )
    return steps


def check_on_lattice(inputs: torch.Tensor, lattice: float) -> None:
    """Refuse inputs that are not multiples of the lattice, up to their rounding to float32.

    Args:
        inputs: (batch, …).
        lattice: the step, one over a whole number.

    Raises:
        ValueError: a feature is not a multiple of `lattice`, or too large.
    """
    per_unit = multiples_per_unit(lattice)
    for start in range(0, len(inputs), _CHUNK):
        values = inputs[start : start + _CHUNK].detach().to("cpu", torch.float64).flatten(1).numpy()
        multiples = values * per_unit
        whole = np.rint(multiples)
        wrong = (np.abs(multiples - whole) > _ROUNDING * np.abs(whole)) | (
            np.abs(whole) > _MOST_MULTIPLES
        )
        if np.any(wrong):
            row, feature = np.argwhere(wrong)[0]
            raise ValueError(
                f"lattice=1/{per_unit}: every feature must be a multiple of it, at most"
                f" {_MOST_MULTIPLES} steps from 0; input {start + row} of the batch has"
                f" {float(values[row, feature])!r} at feature {feature}: normalise inside the"
                " classifier, give float32 data, or give the lattice that the inputs lie on"
            )


def noise_source(seed: int, device: torch.device, *, sigma: float, lattice: float | None) -> Noise:
    """Exact noise where a lattice is given, else float noise.

    Args:
        seed: whole number in [0, 2^64).
        device: where the noise is used.
        sigma: noise level, input units.
        lattice: the step of the inputs' lattice; None: no lattice.
    """
    if lattice is None:
        return NoiseSource(seed, device, sigma=sigma)
    return LatticeNoise(seed, device, sigma=sigma, lattice=lattice)


class LatticeNoise:
    """Draws blocks of `Q(ε)/Δ` as int32 and adds them; `ε ~ N(0, σ²)`, Q rounds to multiples of Δ.

    Each coordinate takes one 64-bit word: its sign is the sign of the noise, and its other 63 bits
    are compared with the exact thresholds. On the CPU the first 16 bits of the word are drawn, and
    a table gives the answer for most of them. The other 48 bits are drawn where it does not. A word
    that falls on a threshold raises `UndecidedNoise`.

    Args:
        seed: as for `NoiseSource`.
        device: as for `NoiseSource`.
        sigma: noise level, input units.
        lattice: Δ, one over a whole number.

    Raises:
        ValueError: there is no exact noise for this sigma and lattice.
    """

    dtype = torch.int32

    def __init__(self, seed: int, device: torch.device, *, sigma: float, lattice: float):
        self._per_unit = multiples_per_unit(lattice)
        steps = steps_per_sigma(sigma, lattice)
        law = rounded_gaussian(steps)
        self._generators = BlockGenerators(seed, device)
        draws_on = self._generators.device
        self._thresholds = torch.from_numpy(law.thresholds).to(draws_on)
        means = np.concatenate([-law.means[:0:-1], law.means])
        variances = np.concatenate([law.variances[:0:-1], law.variances])
        self._means, self._rounded, self._spread = (
            torch.from_numpy(values).to(float64_device(device))
            for values in (
                means,
                np.rint(means / CURVATURE_STEP),
                np.rint(variances / CURVATURE_STEP**2),
            )
        )
        # The index of an input whose noise is undecided; −1: none.
        self._undecided = torch.full((), -1, dtype=torch.int64, device=draws_on)
        if draws_on.type == "cpu":
            self._words, self._rows = torch.empty((2, _CACHED_WORDS), dtype=torch.int64)
            self._short_table = torch.from_numpy(_first_bits_table(law.thresholds, _SHORT_BITS))
            first = np.arange(2**_CELL_BITS, dtype=np.int64) << (63 - _CELL_BITS)
            self._first_cell = np.searchsorted(law.thresholds, first)

    def fill(self, out: torch.Tensor, block: Block) -> None:
        """Fill `out`, int32 (vectors, …) on the device, with the block's noise."""
        generator = self._generators.at(block)
        if generator.device.type == "cuda":
            words = torch.empty(out.shape, dtype=torch.int64, device=out.device)
            for piece in launches(words.view(-1)):
                piece.random_(*_ALL_WORDS, generator=generator)
            out.copy_(self._by_search(words, block.index))
            return
        flat = (
            out.view(-1) if out.device.type == "cpu" else torch.empty(out.numel(), dtype=self.dtype)
        )
        for part in flat.split(len(self._words)):
            self._draw(generator, block.index, out=part)
        if out.device.type != "cpu":
            out.copy_(flat.view(out.shape))
        self.check()

    def centers(self, inputs: torch.Tensor) -> torch.Tensor:
        """Inputs on the lattice as int32 numbers of its steps."""
        return (inputs * self._per_unit).round().to(torch.int32)

    def add(
        self, center: torch.Tensor, noise: torch.Tensor, *, sign: int, out: torch.Tensor
    ) -> None:
        """Write the float nearest to `(center + sign · noise) Δ` to `out`.

        So each point of the lattice is one float, the same as in the data.
        """
        torch.add(center, noise, alpha=sign, out=out)
        # Divided by a tensor: by a number, CUDA would multiply by the reciprocal.
        out.div_(torch.full((), self._per_unit, dtype=out.dtype, device=out.device))

    def standard(self, noise: torch.Tensor) -> torch.Tensor:
        """`E[ε/σ | Q(ε)]`, float64, of integer noise (any shape), for sums of the gradient."""
        return _looked_up(self._means, noise)

    def rounded(self, noise: torch.Tensor) -> torch.Tensor:
        """The same to the nearest `CURVATURE_STEP`, in units of it."""
        return _looked_up(self._rounded, noise)

    def spread(self, noise: torch.Tensor) -> torch.Tensor:
        """`Var(ε/σ | Q(ε))` to the nearest `CURVATURE_STEP²`, in units of it."""
        return _looked_up(self._spread, noise)

    def check(self) -> None:
        """Raise what drawing on the device found. Call it when counts are read."""
        index = int(self._undecided)
        if index >= 0:
            raise UndecidedNoise(
                f"input {index}: 64 random bits fell on a threshold of the exact noise, so nothing"
                " may be certified from them; this hardly ever happens: leave this input out, or"
                " choose another seed"
            )

    def _draw(self, generator: torch.Generator, index: int, *, out: torch.Tensor) -> None:
        """Fill at most `_CACHED_WORDS` integers on the CPU."""
        packed = self._words[: math.ceil(len(out) * _SHORT_BITS / 64)]
        short = packed.random_(*_ALL_WORDS, generator=generator).view(torch.int16)[: len(out)]
        rows = self._rows[: len(out)].copy_(short).add_(2 ** (_SHORT_BITS - 1))
        torch.index_select(self._short_table, 0, rows, out=out)
        values = out.numpy()
        rest = np.flatnonzero(values == _STRADDLES)
        words = torch.empty(len(rest), dtype=torch.int64).random_(*_ALL_WORDS, generator=generator)
        whole = words.numpy()
        whole &= 2 ** (64 - _SHORT_BITS) - 1
        whole |= short.numpy()[rest].astype(np.int64) << (64 - _SHORT_BITS)
        values[rest] = self._by_first_cell(whole, index)

    def _by_first_cell(self, words: np.ndarray, index: int) -> np.ndarray:
        """The noise of whole words, int64 (words,), on the CPU.

        Most first bits leave two cells, which one threshold divides.
        """
        thresholds = self._thresholds.numpy()
        sign = words >> 63
        magnitude = words ^ sign
        cell = self._first_cell[magnitude >> (63 - _CELL_BITS)]
        cell += magnitude > thresholds[cell]
        above = thresholds[cell]
        further = np.flatnonzero(magnitude > above)
        cell[further] = np.searchsorted(thresholds, magnitude[further])
        above[further] = thresholds[cell[further]]
        if np.any(above == magnitude):
            self._undecided.fill_(index)
        return (cell ^ sign) - sign

    def _by_search(self, words: torch.Tensor, index: int) -> torch.Tensor:
        sign = words >> 63
        magnitude = words ^ sign
        cell = torch.searchsorted(self._thresholds, magnitude)
        undecided = (self._thresholds[cell] == magnitude).any()
        self._undecided = torch.where(undecided, index, self._undecided)
        return ((cell ^ sign) - sign).to(torch.int32)


def _looked_up(table: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """The values of a table from the most negative noise on."""
    return table.index_select(0, noise.flatten() + len(table) // 2).view(noise.shape)


_ALL_WORDS = (-(2**63), None)
# So many words stay in the cache between the steps from words to noise.
_CACHED_WORDS = 2**16
# Bits of each word that are drawn first, and bits of its magnitude that find its first cell.
_SHORT_BITS, _CELL_BITS = 16, 17
_STRADDLES = np.iinfo(np.int32).min


def _first_bits_table(thresholds: np.ndarray, bits: int) -> np.ndarray:
    """The noise by the first bits of a word, from the most negative word on.

    It is `_STRADDLES` where the first bits do not decide.
    """
    shift = 64 - bits
    first = np.arange(2 ** (bits - 1), dtype=np.int64) << shift
    last = first + (2**shift - 1)
    cell = np.searchsorted(thresholds, first)
    decided = (cell == np.searchsorted(thresholds, last)) & (thresholds[cell] != last)
    positive, negative = (
        np.where(decided, sign * cell, _STRADDLES).astype(np.int32) for sign in (1, -1)
    )
    return np.concatenate([negative[::-1], positive])
