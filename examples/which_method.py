"""Which method should I use?

Use the default, `third_order_dipole`, unless you have a reason. One run of antithetic pairs serves
every method of pairs but `look_ahead`, so you can compare them on your own model at the cost of one
pilot run. Do not certify an input by all of them and keep the largest radius: then alpha no longer
holds. Instead:

1. Make a **pilot** on some inputs: compare methods, look as often as you like, certify nothing.
2. Make the run that counts on **other inputs** (or with another seed), with the chosen method.

What to expect: where no sample is wrong all methods nearly agree; elsewhere gradient and curvature
give most of the gain. `first_order` on independent samples is the reference that other papers
report. `second_order`, as published, needs very many samples in high dimension. `classes="all"`
compares the class with each other class instead of with one half, which helps most where many
abstain.

    python examples/which_method.py
"""

import tempfile
from dataclasses import replace
from pathlib import Path

from sosmooth import (
    METHODS,
    SmoothedClassifier,
    certify_run,
    load_classifier,
    load_dataset,
    recertify,
)
from sosmooth.classifiers.load import open_classifier
from sosmooth.methods import DEFAULT_METHOD
from sosmooth.request import Request, Smoothing

SIGMA, ALPHA = 0.25, 0.001
# The pairs of one run serve all of these. An axis (look_ahead) needs sums of its own.
OF_PAIRS = [
    name
    for name, method in METHODS.items()
    if method.design is METHODS[DEFAULT_METHOD].design and not method.axis
]


def pilot(folder: Path, indices: list[int], n: int) -> dict[str, float]:
    """Average certified radius by method, from a run of pairs and one of independent samples."""
    classifier, digits = open_classifier("mnist7", sigma=SIGMA), load_dataset("mnist7")
    smoothing = Smoothing(SIGMA)
    request = Request("first_order", n=n, alpha=ALPHA, seed=1)
    independent, _ = certify_run(
        folder / "first", classifier, digits, request, smoothing, indices=indices
    )
    request = replace(request, method=DEFAULT_METHOD)
    certify_run(folder / "pairs", classifier, digits, request, smoothing, indices=indices)
    found = {"first_order": independent.average_certified_radius()}
    for method in OF_PAIRS:
        run = recertify(folder / "pairs", folder / method, method=method, alpha=ALPHA)
        found[method] = run.average_certified_radius()
    return found


def main(n: int = 10_000, images: int = 50) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = pilot(Path(folder), list(range(0, 10_000, 10_000 // images)), n)
    for method, radius in found.items():
        print(
            f"{method:20} average certified radius {radius:.4f}  "
            f"({radius / found['first_order'] - 1:+.1%})"
        )
    chosen = max(found, key=lambda name: found[name])
    digits = load_dataset("mnist7")
    others = list(range(1, 10_000, 10_000 // images))
    smoothed = SmoothedClassifier(load_classifier("mnist7", sigma=SIGMA), sigma=SIGMA)
    certificates = smoothed.certify(
        digits.get(others), method=chosen, n=n, alpha=ALPHA, indices=others
    )
    radius = certificates.average_certified_radius(digits.labels[others])
    print(f"chosen: {chosen}; on {len(others)} inputs that the choice did not see: {radius:.4f}")


if __name__ == "__main__":
    main()
