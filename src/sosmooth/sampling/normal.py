"""Standard normal float32 numbers with the tail of the Gaussian. Their law: docs/sampling.md.

torch makes normals from few random bits: 24 on the CPU, where they end at 5.77, and 32 on a GPU,
where they end at 6.66. So torch's numbers are used only within ±4. Numbers beyond ±4 and their
positions are drawn separately, from 63 bits each.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from sosmooth.sampling.launches import launches

#: Beyond ±CUT none of torch's normals is used.
CUT = 4.0
#: `P(|z| > CUT)`.
BEYOND = math.erfc(CUT / math.sqrt(2))

_CHUNK = 2**20
_ALL_WORDS = (-(2**63), None)


def fill_normal(out: torch.Tensor, generator: torch.Generator) -> None:
    """Fill a contiguous float32 tensor on the generator's device with independent normals.

    Args:
        out: float32, any shape, contiguous.
        generator: of the same device.

    Guarantee:
        `P(|z| > s)` is right for every s ≥ CUT, up to the errors that docs/sampling.md gives.
    """
    for numbers in out.view(-1).split(_CHUNK):
        for piece in launches(numbers):
            piece.normal_(generator=generator)
        room = room_for(len(numbers))
        words = torch.empty(3 * room, dtype=torch.int64, device=out.device)
        for piece in launches(words):
            piece.random_(*_ALL_WORDS, generator=generator)
        places, far, near = words.split(room)
        replace = _replace_on_gpu if out.is_cuda else _replace
        replace(numbers, _within(near), _positions(places), _beyond(far))


def room_for(numbers: int) -> int:
    """More numbers than this lie beyond CUT with probability below 2⁻⁸⁰."""
    mean = numbers * BEYOND
    return math.ceil(mean + 12 * math.sqrt(mean) + 40)


def _uniform(words: torch.Tensor) -> torch.Tensor:
    """The words without their sign as float64 in (0, 1]."""
    return ((words ^ (words >> 63)).double() + 0.5) * 2.0**-63


def _positions(words: torch.Tensor) -> torch.Tensor:
    """Rising positions; each number is among them with probability BEYOND, independently."""
    gaps = (_uniform(words).log() / math.log1p(-BEYOND)).floor() + 1
    return gaps.long().cumsum(0) - 1


def _beyond(words: torch.Tensor) -> torch.Tensor:
    """Normals given that they are beyond CUT."""
    tail = torch.special.ndtri(_uniform(words) * (0.5 * BEYOND))
    return torch.where(words < 0, tail, -tail).float()


def _within(words: torch.Tensor) -> torch.Tensor:
    """Normals given that they are not beyond CUT."""
    return torch.special.ndtri(0.5 * BEYOND + (1 - BEYOND) * _uniform(words)).float()


def _replace(
    numbers: torch.Tensor, within: torch.Tensor, positions: torch.Tensor, beyond: torch.Tensor
) -> None:
    """Replace the numbers beyond CUT by `within`, in order, then put `beyond` at the positions."""
    values, positions_ = numbers.numpy(), positions.numpy()
    # Written so that a NaN, which torch has never drawn, would be replaced too.
    outside = np.flatnonzero(~(np.abs(values) <= CUT))
    values[outside] = within.numpy()[: len(outside)]
    chosen = positions_[positions_ < len(values)]
    values[chosen] = beyond.numpy()[: len(chosen)]


def _replace_on_gpu(
    numbers: torch.Tensor, within: torch.Tensor, positions: torch.Tensor, beyond: torch.Tensor
) -> None:
    """The same without waiting for the GPU: nothing depends on how many numbers are replaced."""
    numbers.masked_scatter_(~(numbers.abs() <= CUT), within)
    chosen = torch.zeros(len(numbers) + 1, dtype=torch.bool, device=numbers.device)
    chosen.index_fill_(0, positions.clamp(max=len(numbers)), True)
    numbers.masked_scatter_(chosen[:-1], beyond)
