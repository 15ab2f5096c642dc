"""One line of advice on standard error where a newcomer may not know what to do next."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sosmooth.cli._output import say
from sosmooth.measures import most_by_guessing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sosmooth.datasets.inputs import InputSet
    from sosmooth.runs import Run

#: Images in [0, 1] cannot be recognised under more noise than this.
_MOST_SIGMA = 4.0
# From here on many certificates may be wrong.
_LARGE_ALPHA = 0.1
# Of fewer inputs nothing is said; of others, where hardly more have the right class than by
# guessing, or less than this fraction.
_FEW_INPUTS, _LOW = 10, 0.2


def advise_on_units(inputs: InputSet, sigma: float) -> None:
    """Images are in [0, 1]; a sigma of 64 was meant for pixels from 0 to 255."""
    if inputs.lattice == 1 / 255 and sigma > _MOST_SIGMA:
        _say(
            "sigma is in units of the inputs, which are images in [0, 1]; for a sigma of"
            f" {sigma:g} grey levels of 255, give --sigma {sigma / 255:.3g}"
        )


def advise_on_alpha(alpha: float) -> None:
    """Radii grow little with alpha, and wrong certificates in proportion to it."""
    if alpha >= _LARGE_ALPHA:
        _say(
            f"alpha = {alpha:g} lets {100 * alpha:.3g} of 100 certificates be wrong; 0.001 is"
            " usual, and makes radii little smaller"
        )


def advise_on_answers(
    labels: NDArray[np.int64],
    answers: NDArray[np.int64],
    num_classes: int | None,
    names: Sequence[str] | None = None,
) -> None:
    """Data or a classifier that are probably not what the user meant.

    Args:
        labels: true classes, int64 (inputs,), −1 = unknown.
        answers: classes that the smoothed classifier gives, int64 (inputs,), −1 = none.
        num_classes: of the classifier; None: unknown.
        names: of the classes; None: unknown.
    """
    called = dict(enumerate(names or ()))
    known, given = labels[labels >= 0], answers[answers >= 0]
    if len(labels) < _FEW_INPUTS or not len(given):
        return
    of_class = len(set(known.tolist())) if len(known) == len(labels) else None
    if of_class == 1:
        _say(
            f"all {len(labels)} inputs have the label {called.get(known[0], known[0])}, so the"
            " figures are about this class alone; --max K, or --shuffle-seed S, takes"
            " inputs of all classes"
        )
    if len(set(given.tolist())) == 1 and of_class != 1:
        _say(
            f"all {len(given)} answers are class {called.get(given[0], given[0])}; are the inputs"
            " scaled and normalised as in training? sosmooth doctor says how good the classifier"
            " is without noise"
        )
    elif len(known) and (right := int(np.sum(labels[labels >= 0] == answers[labels >= 0]))) < (
        max(most_by_guessing(num_classes) if num_classes else 0, _LOW) * len(known)
    ):
        _say(
            f"{right} of {len(known)} inputs get their label; do labels and classes mean the same,"
            " and was the classifier trained with this noise? sosmooth doctor says how good it is"
            " without noise"
        )


def advise_after(run: Run) -> None:
    """What to do next with a finished run, and what helps where most of it abstained."""
    manifest = run.manifest
    advise_on_answers(run["label"], run["selected"], manifest.num_classes, manifest.class_names)
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
    spec = data_option(run)
    _say(f"sosmooth report {run.path} --out report.html{spec} draws it", "next")


def data_option(run: Run) -> str:
    """The option that shows the inputs in a report; empty where they are bundled, or unknown."""
    from sosmooth.datasets.load import DATASETS
    from sosmooth.tasks.recorded import recorded_specs

    _, spec = recorded_specs(run)
    if spec is None or spec.partition(":")[0] in DATASETS:
        return ""
    return f" --data {shlex.quote(spec)}"


def advise_on_inputs(run: Run) -> None:
    """A report opens no file that a run names: the run may be someone else's."""
    if option := data_option(run):
        _say(f"the report shows the inputs too with{option}")


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
