"""The inputs and the classifier that runs were made from, opened for the pictures of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sosmooth.datasets.inputs import InputSet
    from sosmooth.report.noisy import Noisy
    from sosmooth.runs import Run
    from sosmooth.sampling.evaluator import BaseClassifier


def inputs_of(runs: Sequence[Run], spec: str | None) -> InputSet | None:
    """The inputs of the runs: those named, else bundled ones that the runs name, else None.

    Files and modules that a run names are not opened: someone else's run could then execute their
    code.

    Raises:
        RunError: the inputs named are not those that the first run was made from.
    """
    from sosmooth.datasets import load_dataset
    from sosmooth.datasets.load import DATASETS
    from sosmooth.runs import RunError
    from sosmooth.tasks.recorded import check_same_inputs, recorded_specs

    recorded = {recorded_specs(run)[1] for run in runs}
    bundled = next(iter(recorded)) if len(recorded) == 1 else None
    if spec is None and (bundled is None or bundled.partition(":")[0] not in DATASETS):
        return None
    inputs = load_dataset(spec or bundled or "")
    try:
        return check_same_inputs(runs[0], inputs)
    except RunError:
        if spec is not None:
            raise
        return None


def noisy_pictures(
    runs: Sequence[Run], inputs: InputSet, model: str | None, most: int
) -> dict[int, Noisy]:
    """What the classifier saw of at most `most` images, chosen evenly over the radii of a run.

    Raises:
        RunError: the classifier named is not the one that the run was made with.
    """
    from sosmooth.report.noisy import noisy_of, redrawable

    candidates = [run for run in runs if redrawable(run) and len(run)]
    if not candidates or most == 0:
        return {}
    # More pairs give a better direction of the gradient.
    run = max(candidates, key=lambda run: int(np.max(run["direction_pairs"])))
    by_radius = np.argsort(run["radius"], kind="stable")
    spread = by_radius[
        np.unique(np.linspace(0, len(run) - 1, min(most, len(run))).round().astype(int))
    ]
    return noisy_of(run, inputs, run["index"][spread].tolist(), _classifier_of(run, inputs, model))


def _classifier_of(run: Run, inputs: InputSet, spec: str | None) -> BaseClassifier | None:
    """The classifier named, else the bundled one that the run names, else None."""
    from sosmooth.classifiers.load import bundled_sigmas, open_classifier
    from sosmooth.runs import RunError
    from sosmooth.tasks.recognition import check_same_answers
    from sosmooth.tasks.recorded import check_same_classifier, recorded_specs, smoothed_as_recorded

    settings, bundled = run.manifest.settings, recorded_specs(run)[0]
    if any(settings.get(name) for name in ("precision", "channels_last", "compile")):
        return None  # the classifier opened here would round differently
    if spec is None and (bundled is None or settings["sigma"] not in bundled_sigmas(bundled)):
        return None
    opened = open_classifier(spec or bundled or "", sigma=settings["sigma"])
    try:
        check_same_classifier(run, opened)
        check_same_answers(run, smoothed_as_recorded(run, opened, inputs).sampler, inputs)
    except RunError:
        if spec is not None:
            raise
        return None
    return opened.classifier
