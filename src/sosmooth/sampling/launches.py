"""The pieces in which a GPU draws random numbers. Their order: docs/sampling.md."""

from __future__ import annotations

import torch

# torch's kernels of distributions have 256 threads a block, and at most as many blocks as fit on
# the GPU at once. Below that number thread i makes number i; above it the mapping depends on the
# GPU.
_THREADS_PER_BLOCK = 256

#: Numbers of one launch: few enough that no supported GPU reaches that limit.
LAUNCH_ELEMENTS = 2**14


def launches(numbers: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The pieces of a flat tensor, each to be filled by one call; off the GPU the whole tensor."""
    return numbers.split(LAUNCH_ELEMENTS) if numbers.is_cuda else (numbers,)


def check_threads(name: str, multiprocessors: int, threads_per_multiprocessor: int) -> None:
    """Refuse a GPU that would map a launch to threads in another way than other GPUs.

    Args:
        name: of the GPU, for the message.
        multiprocessors: how many it has.
        threads_per_multiprocessor: most threads that one of them holds at once.

    Raises:
        ValueError: the GPU holds too few threads at once.
    """
    blocks = multiprocessors * (threads_per_multiprocessor // _THREADS_PER_BLOCK)
    threads = blocks * _THREADS_PER_BLOCK
    if threads < LAUNCH_ELEMENTS:
        raise ValueError(
            f"{name} holds {threads} threads at once and would draw other noise than larger GPUs;"
            f" {LAUNCH_ELEMENTS} are needed: use another GPU, or device='cpu'"
        )
