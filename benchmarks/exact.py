"""Time exact noise against float noise on a ResNet-20 with random weights and on 7×7 MNIST.

Both certify the same inputs. Rounds alternate in one process; the ratio is that of the medians. A
GPU is used if there is one.
"""

import statistics
import time

import numpy as np
import torch

from sosmooth import SmoothedClassifier, load_classifier
from sosmooth.classifiers.architectures import build
from sosmooth.datasets import load_dataset

SIGMA, ROUNDS = 0.25, 5
METHODS = ("first_order", "second_order", "second_order_dipole", "third_order_dipole")


def seconds(smoothed: SmoothedClassifier, inputs: torch.Tensor, method: str, n: int) -> float:
    """Seconds to certify all inputs."""
    begun = time.perf_counter()
    smoothed.certify(inputs, method=method, n=n)
    return time.perf_counter() - begun


def compare(
    name: str, classifier, inputs: torch.Tensor, lattice: float, n: int, device: str
) -> None:
    """Print both costs and their ratio for each method."""
    engines = [
        SmoothedClassifier(classifier, sigma=SIGMA, num_classes=10, device=device) for _ in range(2)
    ]
    engines[0].certify(inputs[:1], n=n)  # finds the batch size, warms up
    engines[1] = SmoothedClassifier(
        classifier,
        sigma=SIGMA,
        num_classes=10,
        device=device,
        batch_size=engines[0].batch_size,
        lattice=lattice,
    )
    engines[1].certify(inputs[:1], n=n)
    print(
        f"{name}, n = {n:,}, {device}, {torch.get_num_threads()} threads, "
        f"batch size {engines[0].batch_size}"
    )
    print(f"{'method':20} {'float, s/input':>14} {'exact':>9} {'ratio':>6}")
    for method in METHODS:
        rounds = [[seconds(engine, inputs, method, n) for engine in engines] for _ in range(ROUNDS)]
        plain, exact = (statistics.median(times) for times in np.transpose(rounds))
        print(
            f"{method:20} {plain / len(inputs):14.4f} {exact / len(inputs):9.4f} "
            f"{exact / plain:6.2f}"
        )


def main() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images = (
        torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(0)).float()
        / 255
    )
    compare(
        "ResNet-20",
        build("resnet20"),
        images,
        1 / 255,
        100_000 if device == "cuda" else 2000,
        device,
    )
    digits = load_dataset("mnist7")
    assert digits.lattice is not None
    pixels = torch.as_tensor(digits.get([0, 1, 2]))
    compare(
        "7×7 MNIST", load_classifier("mnist7", sigma=SIGMA), pixels, digits.lattice, 100_000, device
    )
