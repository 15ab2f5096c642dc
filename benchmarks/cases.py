"""The networks and inputs of the timings: tiny and deep, plain and wide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from sosmooth import Execution, load_classifier
from sosmooth.classifiers.architectures import build
from sosmooth.datasets import load_dataset

#: First order, pairs, pairs with gradient, the published second order, which the peer has too, and
#: pairs with gradient and curvature.
METHODS = ("first_order", "dipole", "second_order_dipole", "second_order", "third_order_dipole")
#: For cases with too many features, or too few samples, for the curvature to be drawn.
WITHOUT_CURVATURE = METHODS[:4]


@dataclass(frozen=True)
class Case:
    """One row of the table for each method.

    Attributes:
        make: Returns the classifier and one batch of inputs, on the CPU.
        sigma: Standard deviation of the noise.
        num_classes: Number of classes.
        n: Estimation samples per input.
        n0: Selection samples per input.
        inputs: How many inputs one measurement certifies.
        rounds: Measurements of each, alternating.
        peer_rounds: Measurements of the peer.
        batch_sizes: The bare loop takes the best of these.
        peer_batch: Batch size of the peer.
        lattice: Distance of the values of the inputs, for exact noise; None: no comparison with it.
        methods: Those that are measured if none is asked for.
        execution: How the bare classifier and ours are called; the peer runs in float32.
    """

    name: str
    make: Callable[[], tuple[nn.Module, torch.Tensor]]
    sigma: float
    num_classes: int
    n: int
    batch_sizes: tuple[int, ...]
    peer_batch: int
    n0: int = 100
    inputs: int = 1
    rounds: int = 3
    peer_rounds: int = 1
    lattice: float | None = None
    methods: tuple[str, ...] = METHODS
    execution: Execution = Execution()  # noqa: RUF009  (frozen)


def mnist7() -> tuple[nn.Module, torch.Tensor]:
    """The bundled network and the first test images."""
    classifier = load_classifier("mnist7", sigma=0.25)
    assert isinstance(classifier, nn.Module)
    return classifier, torch.as_tensor(load_dataset("mnist7").get(list(range(10))))


def resnet20() -> tuple[nn.Module, torch.Tensor]:
    network = build("resnet20")
    return _wavering(network, network.get_submodule("linear"), (3, 32, 32), 64)


def resnet50() -> tuple[nn.Module, torch.Tensor]:
    network = build("resnet50")
    return _wavering(network, network.get_submodule("fc"), (3, 224, 224), 8)


def wide_mlp() -> tuple[nn.Module, torch.Tensor]:
    """100 000 features, a hidden layer of 100: drawing noise costs as much as the classifier."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        last = nn.Linear(100, 10)
        network = nn.Sequential(nn.Linear(10**5, 100), nn.ReLU(), last)
    return _wavering(network, last, (10**5,), 64)


def _wavering(
    network: nn.Module, last: nn.Module, shape: tuple[int, ...], samples: int
) -> tuple[nn.Module, torch.Tensor]:
    """Shift an untrained network so that it answers class 0 for about four fifths of noisy copies.

    The others get class 1. Without the shift every copy would get the same class; then no pair
    disagrees, and the gradient costs nothing.
    """
    assert isinstance(last, nn.Linear)
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(0, 256, shape, generator=generator) / 255
    with torch.inference_mode():
        scores = network.eval()(x + SIGMA * torch.randn((samples, *shape), generator=generator))
    lead = scores[:, 0] - scores[:, 1]
    with torch.no_grad():
        last.bias[1] += lead.mean() - 0.85 * lead.std()
        last.bias[2:] -= 1e4
    return network, x[None]


SIGMA = 0.25

CPU = (
    Case(
        "mnist7",
        mnist7,
        SIGMA,
        10,
        100_000,
        (256, 512, 1024, 2048, 4096, 8192),
        1000,
        inputs=3,
        rounds=5,
        peer_rounds=3,
        lattice=1 / 4080,
    ),
    Case(
        "resnet20",
        resnet20,
        SIGMA,
        10,
        2000,
        (32, 64, 128, 256),
        400,
        lattice=1 / 255,
        methods=WITHOUT_CURVATURE,
    ),
    Case("resnet50", resnet50, SIGMA, 1000, 200, (8, 32), 50, n0=20, rounds=2, methods=METHODS[:3]),
    Case("wide_mlp", wide_mlp, SIGMA, 10, 2000, (16, 64, 256), 400, methods=WITHOUT_CURVATURE),
)

_FAST = Execution(precision="bfloat16", channels_last=True)
_RESNET50 = Case(
    "resnet50",
    resnet50,
    SIGMA,
    1000,
    100_000,
    (256, 512, 1024),
    1000,
    rounds=1,
    methods=WITHOUT_CURVATURE,
)
CUDA = (
    Case("mnist7", mnist7, SIGMA, 10, 10**8, (2**14, 2**16, 2**18, 2**20), 1000, lattice=1 / 4080),
    Case("resnet20", resnet20, SIGMA, 10, 10**6, (1024, 4096, 16384), 1000, lattice=1 / 255),
    _RESNET50,
    replace(_RESNET50, name="resnet50_bf16", execution=_FAST, rounds=2),
    replace(
        _RESNET50, name="resnet50_bf16_compiled", execution=replace(_FAST, compile=True), rounds=2
    ),
    Case(
        "wide_mlp",
        wide_mlp,
        SIGMA,
        10,
        100_000,
        (256, 1024, 4096),
        1000,
        methods=WITHOUT_CURVATURE,
    ),
)
