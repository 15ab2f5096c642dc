"""One line of advice on standard error where a newcomer may not know what to do next."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sosmooth.cli._output import say

if TYPE_CHECKING:
    from sosmooth.datasets.inputs import InputSet
    from sosmooth.runs import Run

#: Images in [0, 1] cannot be recognised under more noise than this.
_MOST_SIGMA = 4.0


def advise_on_units(inputs: InputSet, sigma: float) -> None:
    """Images are in [0, 1]; a sigma of 64 was meant for pixels from 0 to 255."""
    if inputs.lattice == 1 / 255 and sigma > _MOST_SIGMA:
        _say(
            "sigma is in units of the inputs, which are images in [0, 1]; for a sigma of"
            f" {sigma:g} grey levels of 255, give --sigma {sigma / 255:.3g}"
        )


def advise_after(run: Run) -> None:
    """What to do next with a finished run, and what helps where most of it abstained."""
    reasons = list(run["abstain_reason"])
    weak, few = reasons.count("below_one_half"), reasons.count("too_few_samples")
    if 4 * weak > len(reasons) and run.certificates().tally.counts_classes:
        _say(
            f"{weak} of {len(reasons)} inputs have no class with half of the samples; it is enough"
            f" to be ahead of each other class: sosmooth recertify {run.path} --method"
            f" {run.manifest.settings['method']} --classes all --out RUN2"
        )
    if 2 * weak > len(reasons):
        sigma = run.manifest.settings["sigma"]
        _say(
            f"{weak} of {len(reasons)} inputs have no class with half of the samples; was the"
            f" classifier trained with noise of sigma {sigma:g}? One that was not guesses under"
            " noise: give a smaller --sigma, train it with noise (sosmooth train), or put a"
            " --denoiser in front"
        )
    elif 10 * few > len(reasons):
        _say(
            f"{few} of {len(reasons)} inputs need more samples: sosmooth plan {run.path} --n"
            f" {10 * int(run['n'].max())}"
        )
    _say(f"sosmooth report {run.path} --out report.html draws it", "next")


def advise_after_training(options: str) -> None:
    """What to do next with the weights."""
    _say(f"sosmooth certify {options} --max 20 --out run certifies with them", "next")


def advise_on_samples(n: int, alpha: float) -> None:
    """`predict` abstains even where all samples agree, if they are too few."""
    needed = math.ceil(1 - math.log2(alpha))
    if n < needed:
        _say(f"with {n} samples, alpha = {alpha:g} always gives −1; give --n {needed} or more")


def _say(line: str, kind: str = "hint") -> None:
    say(f"{kind}: {line}")
