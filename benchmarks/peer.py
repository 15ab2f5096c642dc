"""The peer: it certifies as research code does, in a plain loop written from the formulas.

It takes one image at a time and repeats it, adds float32 noise, takes the argmax, brings the labels
of every batch to the host and counts them there in Python; a scalar root finder runs per image.

Source: Cohen, Rosenfeld, Kolter 2019, section 3.2;
Levine, Kumar, Goldstein, Feizi 2020, Theorems 1 and 2.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt
from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.stats import beta, norm


def first_order(
    classifier,
    x: torch.Tensor,
    *,
    sigma: float,
    num_classes: int,
    n0: int,
    n: int,
    alpha: float,
    batch: int,
) -> tuple[int, float]:
    """The class and its radius; (−1, 0.0) if it abstains."""
    top = _votes(classifier, x, sigma, num_classes, n0, batch).argmax()
    count = _votes(classifier, x, sigma, num_classes, n, batch)[top]
    p = float(beta.ppf(alpha, count, n - count + 1))
    return (int(top), float(sigma * norm.ppf(p))) if p > 0.5 else (-1, 0.0)


def second_order(
    classifier,
    x: torch.Tensor,
    *,
    sigma: float,
    num_classes: int,
    n0: int,
    n: int,
    alpha: float,
    batch: int,
) -> tuple[int, float]:
    """Second order; Theorem 2 bounds the gradient norm from products of disjoint sample pairs."""
    top = _votes(classifier, x, sigma, num_classes, n0, batch).argmax()
    count, products, left = 0, 0.0, n
    while left > 0:
        noise, labels = _classified(classifier, x, sigma, min(batch, left))
        right = np.zeros(len(labels), dtype=bool)
        for i, label in enumerate(labels):
            if label == top:
                right[i] = True
                count += 1
        dots = (noise[0::2].flatten(1) * noise[1::2].flatten(1)).sum(1).cpu().numpy()
        products += dots[right[0::2] & right[1::2]].sum(dtype=np.float64)
        left -= batch
    p = float(beta.ppf(alpha / 2, count, n - count + 1))
    if not p > 0.5:
        return -1, 0.0
    level, dimension, pairs = log(2 / alpha), x.numel(), n // 2
    slack = 4 * sigma**2 * sqrt(dimension * level / pairs)
    if 2 * level > dimension * pairs:
        slack = 4 * sqrt(2) * sigma**2 * level / pairs
    gamma = sqrt(max(products / pairs + slack, 0)) / sigma
    return int(top), sigma * _second_order_radius(p, gamma)


def _second_order_radius(p: float, gamma: float) -> float:
    """Theorem 1 in units of sigma."""
    if gamma >= norm.pdf(norm.ppf(p)):
        return float(norm.ppf(p))
    low = (1 - p) / 2
    if gamma > 0:
        low = _root(lambda a: norm.pdf(norm.ppf(a + p)) - norm.pdf(norm.ppf(a)) - gamma, 0.0, low)
    u, v = norm.ppf(low), norm.ppf(low + p)
    return _root(lambda r: norm.cdf(v - r) - norm.cdf(u - r) - 0.5, 0.0, float(v))


def _root(function: Callable[[float], Any], low: float, high: float) -> float:
    root = brentq(function, low, high)
    assert isinstance(root, float)
    return root


def _votes(
    classifier, x: torch.Tensor, sigma: float, num_classes: int, n: int, batch: int
) -> np.ndarray:
    votes = np.zeros(num_classes, dtype=int)
    while n > 0:
        _, labels = _classified(classifier, x, sigma, min(batch, n))
        for label in labels:
            votes[label] += 1
        n -= batch
    return votes


def _classified(
    classifier, x: torch.Tensor, sigma: float, batch: int
) -> tuple[torch.Tensor, np.ndarray]:
    """The noise of one batch, and the labels on the host."""
    with torch.no_grad():
        images = x.repeat(batch, *[1] * x.ndim)
        noise = torch.randn_like(images) * sigma
        return noise, classifier(images + noise).argmax(1).cpu().numpy()
