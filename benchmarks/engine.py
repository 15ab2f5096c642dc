"""Certifying against the bare classifier, side by side in one process.

The bare loop draws the same number of noise vectors, scales, adds, classifies and takes the argmax, in the best batch size
of a few, and counts nothing: no certificate can cost less. Rounds alternate; the ratio is of the medians.
"""

import statistics
import time

import numpy as np
import torch

from sosmooth import SmoothedClassifier, load_classifier
from sosmooth.datasets import load_dataset

SIGMA, N, INPUTS, ROUNDS = 0.25, 100_000, 10, 5


def bare(classifier, inputs: torch.Tensor, sides: int, batch_size: int) -> float:
    """Seconds for `N` evaluations of each input."""
    begun = time.perf_counter()
    with torch.inference_mode():
        for x in inputs:
            for start in range(0, N, batch_size):
                size = min(batch_size, N - start)
                z = torch.empty((size // sides, *x.shape)).normal_()
                points = torch.add(x, z, alpha=SIGMA)
                if sides == 2:
                    points = torch.cat([points, torch.sub(x, z, alpha=SIGMA)])
                classifier(points).argmax(1)
    return time.perf_counter() - begun


def certified(smoothed: SmoothedClassifier, inputs: torch.Tensor, method: str) -> float:
    """Seconds to certify all inputs, radius included."""
    begun = time.perf_counter()
    smoothed.certify(inputs, method=method, n=N)
    return time.perf_counter() - begun


def main() -> None:
    classifier = load_classifier("mnist7", sigma=SIGMA)
    inputs = torch.as_tensor(load_dataset("mnist7").get(list(range(INPUTS))))
    smoothed = SmoothedClassifier(classifier, sigma=SIGMA, num_classes=10)
    smoothed.certify(inputs[:1], n=2 * N // 10)  # finds the batch size, warms up
    print(f"7×7 MNIST, n = {N:,}, {torch.get_num_threads()} threads, batch size {smoothed.batch_size}")
    print(f"{'method':16} {'bare, s/input':>14} {'certified':>10} {'ratio':>6}")
    for method, sides in (("first_order", 1), ("dipole", 2), ("second_order", 1)):
        sizes = (256, 512, 1024, 2048, 4096, 8192)
        best = min(sizes, key=lambda size: bare(classifier, inputs[:2], sides, size))
        rounds = [(bare(classifier, inputs, sides, best), certified(smoothed, inputs, method)) for _ in range(ROUNDS)]
        reference, ours = (statistics.median(times) for times in np.transpose(rounds))
        print(f"{method:16} {reference / INPUTS:14.4f} {ours / INPUTS:10.4f} {ours / reference:6.2f}")
