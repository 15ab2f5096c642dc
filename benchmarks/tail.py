"""The float noise beyond the largest normals of torch: counts of 10⁹ draws, and the cost.

Times alternate in one process: the certification with torch's own normals, and with ours.
"""

import statistics
import time
from unittest.mock import patch

import torch
from scipy import stats

from sosmooth import SmoothedClassifier, load_classifier
from sosmooth.classifiers.architectures import build
from sosmooth.datasets import load_dataset
from sosmooth.sampling.noise import Block, NoiseSource, Stage

DRAWS, THRESHOLDS, ROUNDS = 10**9, (5.5, 5.768, 6.0), 7


def torchs_own(out: torch.Tensor, generator: torch.Generator) -> None:
    """The noise without our tail: float32 normals of torch."""
    out.normal_(generator=generator)


def count() -> None:
    """Print how many draws lie beyond each threshold, and how many the Gaussian has there."""
    source, out = NoiseSource(0, torch.device("cpu")), torch.empty(256, 4096)
    blocks = -(-DRAWS // out.numel())
    found = dict.fromkeys(THRESHOLDS, 0)
    for number in range(blocks):
        source.fill(out, Block(0, 0, Stage.ESTIMATION, number, len(out)))
        large = out[out.abs() > min(THRESHOLDS)].abs()
        for threshold in THRESHOLDS:
            found[threshold] += int((large > threshold).sum())
    draws = blocks * out.numel()
    print(f"{draws:,} draws\n{'beyond':>8} {'found':>8} {'expected':>10} {'p-value':>8}")
    for threshold, times in found.items():
        probability = float(2 * stats.norm.sf(threshold))
        p_value = stats.binomtest(times, draws, probability).pvalue
        print(f"{threshold:8} {times:8} {draws * probability:10.2f} {p_value:8.3f}")


def cost(name: str, classifier, inputs: torch.Tensor, n: int, method: str) -> None:
    """Print the ratio of the median times, ours divided by torch's own."""
    smoothed = SmoothedClassifier(classifier, sigma=0.25, num_classes=10)
    smoothed.certify(inputs[:1], method=method, n=n)  # finds the batch size, warms up

    def seconds() -> float:
        begun = time.process_time()
        smoothed.certify(inputs, method=method, n=n)
        return time.process_time() - begun

    ours, before = [], []
    for _ in range(ROUNDS):
        ours.append(seconds())
        with patch("sosmooth.sampling.noise.fill_normal", torchs_own):
            before.append(seconds())
    ratio = statistics.median(ours) / statistics.median(before)
    print(f"{name:14} {method:20} ratio {ratio:.3f} of processor time, n = {n:,}")


def main() -> None:
    torch.set_num_threads(1)
    count()
    digits = torch.from_numpy(load_dataset("mnist7").get(list(range(2))))
    photos = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network = build("resnet20")
    for method in ("first_order", "second_order_dipole"):
        cost("7×7 MNIST", load_classifier("mnist7", sigma=0.25), digits, 100_000, method)
        cost("ResNet-20", network, photos, 4_096, method)


if __name__ == "__main__":
    main()
