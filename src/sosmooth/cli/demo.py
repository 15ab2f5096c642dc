"""The demonstration: real images certified by several methods and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sosmooth.cli._options import Sigma, Whole


def demo(
    *,
    out: Annotated[Path, Parameter(help="Folder of the runs and the report.")] = Path("demo"),
    images: Annotated[
        Whole, Parameter(help="Number of test images, spread over the 10 000.")
    ] = 200,
    n: Annotated[Whole, Parameter(name="--n", help="Samples an image.")] = 100_000,
    sigma: Sigma = 0.25,
) -> int:
    """Certify handwritten digits by several methods and draw a report.

    The paper's methods and ours, in about two minutes. No option is needed.
    """
    from sosmooth.classifiers.load import open_classifier
    from sosmooth.cli._pictures import noisy_pictures
    from sosmooth.cli._summary import print_runs
    from sosmooth.cli.certify import certify_with_progress, report_failures
    from sosmooth.datasets import load_dataset
    from sosmooth.methods import METHODS
    from sosmooth.report.html import write_report
    from sosmooth.request import Request, Smoothing
    from sosmooth.tasks.recertify import recertify

    inputs = load_dataset("mnist7")
    if not 1 <= images <= len(inputs):
        raise ValueError(f"--images must be between 1 and {len(inputs)}; got {images}")
    classifier = open_classifier("mnist7", sigma=sigma)
    chosen = list(range(0, len(inputs), len(inputs) // images))[:images]
    found, failed = {}, []
    for method in ("first_order", "second_order", "third_order_dipole"):
        found[method], failures = certify_with_progress(
            out / method,
            classifier,
            inputs,
            Request(method, n=n),
            Smoothing(sigma),
            indices=chosen,
        )
        failed += failures
    # These count the same pairs, so they need no samples.
    for method in ("dipole", "second_order_dipole"):
        found[method] = recertify(
            out / "third_order_dipole", out / method, method=method, alpha=0.001
        )
    runs = [found[method] for method in METHODS if method in found]
    print_runs(runs)
    noisy = noisy_pictures(runs, inputs, None, most=12)
    written = write_report(
        runs, out / "report.html", inputs=lambda index: inputs.get([index])[0], noisy=noisy
    )
    print(f"\nLook at {written[0].resolve()}")
    return report_failures(failed)
