"""A run whose rows follow from their indices alone, so any two writers of it agree."""

import numpy as np

from sosmooth.methods import certify_tally
from sosmooth.tally import Design, Tally

N, ALPHA = 1000, 0.01
INDICES = [3, 1, 4, 15, 9, 26]


def settings(sigma: float = 0.25, model: int = 0) -> dict:
    asked = {"method": "first_order", "sigma": sigma, "n": N, "n0": 10, "alpha": ALPHA, "seed": 7}
    return asked | {"model": model}


def certificate(index: int, sigma: float = 0.25, model: int = 0):
    """A certificate whose count says which input and which model it belongs to."""
    return certify_tally(
        "first_order",
        Tally(Design.INDEPENDENT, np.array([N]), 49, count_top=np.array([N - index - model])),
        selected=np.array([index % 3]),
        selection_margin=np.array([10]),
        index=np.array([index]),
        sigma=sigma,
        alpha=ALPHA,
        n0=10,
        seed=7,
    )
