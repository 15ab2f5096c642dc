"""The networks that weights files are rebuilt with: one row an architecture.

Each takes inputs in [0, 1] as its data set gives them; what they need of normalisation happens inside.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def mnist7_cnn() -> nn.Module:
    """The small network for 7×7 MNIST: (batch, 7, 7) in [0, 1] → scores (batch, 10).

    Four 2×2 filters (6×6 positions each), a hidden layer of 100, both followed by ReLU.
    """
    return nn.Sequential(
        nn.Unflatten(1, (1, 7)),
        nn.Conv2d(1, 4, kernel_size=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 6 * 6, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )


#: Name → a function that builds it with untrained weights.
ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    "mnist7_cnn": mnist7_cnn,
}


def build(architecture: str, *, seed: int = 0) -> nn.Module:
    """The network of that name, its starting weights drawn from `seed`; the global generator of torch is left as it was.

    Raises:
        ValueError: there is none.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {architecture!r}; there are: {', '.join(ARCHITECTURES)}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return ARCHITECTURES[architecture]()
