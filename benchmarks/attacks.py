"""The attack suite: how close attacks come to breaking certificates.

    python -m benchmarks attacks
    python -m benchmarks attacks --cifar10 FOLDER --weights resnet20+FILE --sigma 0.25

`inside` counts inputs with an adversarial point within the certified radius. It must be above 0 for
float noise and a planted classifier: that is the attack. Everywhere else it must be 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sosmooth import METHODS, SmoothedClassifier, load_classifier
from sosmooth.attacks.extremal import attack_extremal, grid_of_curved_regions, grid_of_regions
from sosmooth.attacks.floating_point import PlantedClassifier, one_float_away, one_step_away
from sosmooth.attacks.smoothed_pgd import AttackSettings, attack
from sosmooth.certificates.region import Region
from sosmooth.datasets import load_dataset

ALPHA, JUDGE_ALPHA = 0.001, 1e-6
MNIST7_STEP, CIFAR10_STEP = 1 / (16 * 255), 1 / 255
INPUTS = 20


@dataclass(frozen=True)
class Row:
    """One attack on one kind of noise.

    `ratios` are the closest adversarial distances divided by the certified radius; `inf` means that
    the attack found none.
    """

    attack: str
    data: str
    engine: str
    ratios: np.ndarray

    def __str__(self) -> str:
        found = self.ratios[np.isfinite(self.ratios)]
        closest, median = (
            f"{value(found):.4g}" if len(found) else "—" for value in (np.min, np.median)
        )
        counts = f"{len(self.ratios)} | {len(found)} | {np.sum(found <= 1)}"
        return f"| {self.attack} | {self.data} | {self.engine} | {counts} | {closest} | {median} |"


HEADER = (
    "| attack | data | engine | attempts | found | inside | closest ratio | median ratio |\n"
    "|---|---|---|---|---|---|---|---|"
)


def smoothed(
    classifier, sigma: float, num_classes: int, lattice: float | None
) -> SmoothedClassifier:
    return SmoothedClassifier(
        classifier, sigma=sigma, num_classes=num_classes, batch_size=1024, lattice=lattice
    )


def engines(step: float) -> list[tuple[str, float | None]]:
    """Name and lattice of float noise and of exact noise."""
    return [("float", None), ("exact", step)]


def planted(
    name: str,
    data: str,
    inputs: np.ndarray,
    away: Callable[[np.ndarray], np.ndarray],
    sigma: float,
    step: float,
    n: int,
) -> Iterator[Row]:
    """Certify inputs with a classifier planted at the neighbour; predict the class there."""
    for engine, lattice in engines(step):
        ratios = []
        for x in inputs:
            target = away(x)
            one = smoothed(PlantedClassifier(target, sigma=sigma), sigma, 2, lattice)
            [certificate] = one.certify(x[None], n=n, method="first_order", alpha=ALPHA)
            # With exact noise every input lies on the lattice: the nearest lattice point is used.
            point = (
                target
                if lattice is None
                else (np.rint(target.astype(np.float64) / lattice) * lattice).astype(np.float32)
            )
            there = int(one.predict(point[None], n=1000, alpha=JUDGE_ALPHA, seed=1)[0])
            distance = float(np.linalg.norm((point.astype(np.float64) - x).ravel()))
            flipped = -1 not in (certificate.prediction, there) and there != certificate.prediction
            ratios.append(distance / certificate.radius if flipped else np.inf)
        yield Row(name, data, engine, np.array(ratios))


def one_pixel(sigma: float = 0.5, n: int = 100_000) -> Iterator[Row]:
    """One pixel, 210/255, and black, after the example of Voráček and Hein.

    Theirs is certified with radius 1.26 and has another class at 0.8.
    """
    pixel, black = np.array([210 / 255], dtype=np.float32), np.zeros(1, dtype=np.float32)
    for engine, lattice in engines(CIFAR10_STEP):
        one = smoothed(PlantedClassifier(pixel, sigma=sigma), sigma, 2, lattice)
        [certificate] = one.certify(pixel[None], n=n, method="first_order", alpha=ALPHA)
        there = int(one.predict(black[None], n=n, alpha=JUDGE_ALPHA, seed=1)[0])
        flipped = -1 not in (certificate.prediction, there) and there != certificate.prediction
        ratio = float(pixel[0]) / certificate.radius if flipped else np.inf
        yield Row(
            "planted, one pixel 210/255 and 0", f"d = 1, σ = {sigma:g}", engine, np.array([ratio])
        )


def pgd(
    data: str,
    classifier,
    inputs: np.ndarray,
    sigma: float,
    step: float,
    n: int,
    settings: AttackSettings,
    count: int,
) -> Iterator[Row]:
    """Certify, then attack the first `count` certified inputs."""
    for engine, lattice in engines(step):
        one = smoothed(classifier, sigma, 10, lattice)
        certificates = one.certify(inputs, n=n, alpha=ALPHA)
        certified = np.flatnonzero(certificates.radius > 0)[:count]
        found = [
            attack(
                one,
                torch.as_tensor(inputs[i]),
                int(certificates.prediction[i]),
                float(certificates.radius[i]),
                settings,
            )
            for i in certified
        ]
        yield Row(
            "PGD",
            f"{data}, σ = {sigma:g}",
            engine,
            np.array([a.closest for a in found]) / certificates.radius[certified],
        )


def extremal(theorem: str, region: Region) -> Row:
    """Attack just inside and outside the radius of every region of a grid, without sampling."""
    outcomes = [attack_extremal(region, factor) for factor in (0.999, 1.001)]
    # Not every method uses all that the grid varies.
    radii, attacked = np.unique(outcomes[0].radius, return_index=True)
    attacked = attacked[(radii > 0) & np.isfinite(radii)]
    ratios = np.select(
        [outcome.succeeds for outcome in outcomes], [outcome.factor for outcome in outcomes], np.inf
    )
    return Row(f"extremal, {theorem}", f"{len(attacked)} regions", "analytic", ratios[attacked])


def rows(cifar10: str | None, weights: str | None, cifar10_sigma: float) -> Iterator[Row]:
    digits = load_dataset("mnist7").get(list(range(INPUTS)))
    yield from one_pixel()
    for sigma in (0.25, 0.5):
        yield from planted(
            "planted, next float",
            f"mnist7, σ = {sigma:g}",
            digits,
            one_float_away,
            sigma,
            MNIST7_STEP,
            10_000,
        )
    a_step = lambda x: one_step_away(x, MNIST7_STEP)  # noqa: E731
    yield from planted(
        "planted, one step", "mnist7, σ = 0.12", digits, a_step, 0.12, MNIST7_STEP, 10_000
    )
    more = load_dataset("mnist7").get(list(range(2 * INPUTS)))
    mnist7 = load_classifier("mnist7", sigma=0.25)
    yield from pgd("mnist7", mnist7, more, 0.25, MNIST7_STEP, 20_000, AttackSettings(), INPUTS)
    labels = lambda points: mnist7(points).argmax(1)  # noqa: E731
    yield from pgd(
        "mnist7, labels only", labels, more, 0.25, MNIST7_STEP, 20_000, AttackSettings(), INPUTS
    )
    for name, method in METHODS.items():
        if not method.axis:  # the worst case of look-ahead has no closed form
            yield extremal(name, grid_of_regions(name))
    yield extremal("slope and curvature", grid_of_curved_regions(pairs=False))
    yield extremal("pairs, slope and curvature", grid_of_curved_regions(pairs=True))
    if cifar10 is None or weights is None:
        return
    images = load_dataset(f"cifar10:{cifar10}").get(list(range(8)))
    for name, away in (
        ("next float", one_float_away),
        ("one step", lambda x: one_step_away(x, CIFAR10_STEP)),
    ):
        yield from planted(
            f"planted, {name}", "CIFAR-10, σ = 0.25", images[:4], away, 0.25, CIFAR10_STEP, 1000
        )
    few = AttackSettings(steps=8, samples=24, judge_n=1000, bisections=5)
    network = load_classifier(weights, sigma=cifar10_sigma)
    yield from pgd("CIFAR-10", network, images[:6], cifar10_sigma, CIFAR10_STEP, 1000, few, 4)


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks attacks", description="The attack suite and its table."
    )
    parser.add_argument(
        "--cifar10",
        metavar="FOLDER",
        help="standard files of CIFAR-10; its rows need --weights too",
    )
    parser.add_argument(
        "--weights",
        metavar="SPEC",
        help="a classifier of CIFAR-10, as for sosmooth certify --model",
    )
    parser.add_argument(
        "--sigma", type=float, default=0.25, help="the noise level that it was trained with"
    )
    chosen = parser.parse_args(list(arguments))
    print(HEADER)
    for row in rows(chosen.cifar10, chosen.weights, chosen.sigma):
        print(row, flush=True)
