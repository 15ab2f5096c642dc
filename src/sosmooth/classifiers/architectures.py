"""The networks that weights files are rebuilt with: one row an architecture.

Each takes inputs in [0, 1], as its data set gives them. Normalisation is a part of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from sosmooth.classifiers.resnet import CIFAR_DEPTHS, CifarResNet, ImageNetResNet50


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


def mnist_cnn() -> nn.Module:
    """The network for MNIST: (batch, 1, 28, 28) in [0, 1] → scores (batch, 10).

    16 and 32 filters of 4×4 with stride 2, a hidden layer of 100, each followed by ReLU: the small
    network of Wong and Kolter 2018.
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )


def pca10_mlp() -> nn.Module:
    """The network for ten principal components of 7×7 MNIST: (batch, 10) → scores (batch, 10).

    Two hidden layers of 100, ReLU.
    """
    return _mlp(10, 100, 100, 10)


def swiss_roll_mlp() -> nn.Module:
    """The network for the swiss roll: (batch, 2) → scores (batch, 2).

    Two hidden layers of 10, ReLU.
    """
    return _mlp(2, 10, 10, 2)


def _mlp(*widths: int) -> nn.Module:
    layers = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


#: Name → a function that builds it with untrained weights.
ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    "mnist7_cnn": mnist7_cnn,
    "mnist_cnn": mnist_cnn,
    "pca10_mlp": pca10_mlp,
    "swiss_roll_mlp": swiss_roll_mlp,
    **{f"resnet{depth}": partial(CifarResNet, depth) for depth in CIFAR_DEPTHS},
    "resnet50": ImageNetResNet50,
}

#: Name → the shape of one input; None: an axis of any length.
INPUT_SHAPES: dict[str, tuple[int | None, ...]] = {
    "mnist7_cnn": (7, 7),
    "mnist_cnn": (1, 28, 28),
    "pca10_mlp": (10,),
    "swiss_roll_mlp": (2,),
    **{f"resnet{depth}": (3, 32, 32) for depth in CIFAR_DEPTHS},
    "resnet50": (3, None, None),
}


def build(architecture: str, *, seed: int = 0) -> nn.Module:
    """The network of that name, with starting weights drawn from `seed`.

    The global generator of torch stays as it was.

    Args:
        architecture: a key of `ARCHITECTURES`.
        seed: of the starting weights.

    Raises:
        ValueError: there is no such architecture.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"unknown architecture {architecture!r}; there are: {', '.join(ARCHITECTURES)}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return ARCHITECTURES[architecture]()


def architectures_that_fit(state: Mapping[str, Tensor]) -> list[str]:
    """The architectures whose weights have these names and shapes; no weights are allocated.

    Args:
        state: weights by name.
    """
    found = []
    for name, make in ARCHITECTURES.items():
        with torch.device("meta"):
            own = make().state_dict()
        shapes = {key: value.shape for key, value in own.items() if not is_counter(key)}
        if shapes == {key: value.shape for key, value in state.items() if not is_counter(key)}:
            found.append(name)
    return found


def is_counter(name: str) -> bool:
    """Whether a buffer counts batches for a normalisation layer.

    No evaluation uses it, and files from before 2018 lack it.
    """
    return name.endswith(".num_batches_tracked")
