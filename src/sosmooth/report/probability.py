"""The distribution of p̂ over the inputs: how good a classifier is under noise.

The average certified radius weighs an input by its radius, and radii grow without bound as the
probability approaches 1. So it rewards what makes easy inputs easier, more than what makes hard
ones right. The distribution of the probabilities shows both.

Source: Sun, Mao, Müller, Vechev 2025, "Average Certified Radius is a Poor Metric for Randomized
Smoothing".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sosmooth.measures import ABSTAINED
from sosmooth.report.series import RunLike, Series
from sosmooth.results import Certificates


@dataclass(frozen=True)
class Probabilities:
    """p̂ of each input of a run that has samples.

    Attributes:
        name: of the run.
        row: rows of the run, int64 (inputs,).
        values: fractions of the noisy copies that the classifier gives the class, in [0, 1],
            float64 (inputs,).
        of: the class, in words: that of the label, or, where labels are unknown, that of the run.
    """

    name: str
    row: NDArray[np.int64]
    values: NDArray[np.float64]
    of: str


def probabilities_of(run: RunLike, series: Series) -> Probabilities | None:
    """p̂ of each input of a run; None where no counts are known.

    Where the run selected another class than the label and did not count the others, p̂ of the
    label is 0: the least that it can be.

    Args:
        run: the run.
        series: the same as arrays.
    """
    if not len(run):
        return None
    certificates = run.certificates()
    values = certificates.tally.p_estimate()
    if series.labelled:
        label, selected = series.label[: len(run)], certificates.selected
        values = np.where(label == selected, values, _of_label(certificates, label))
    row = np.flatnonzero(np.isfinite(values) & (certificates.selected != ABSTAINED))
    if not len(row):
        return None
    of = "the right class" if series.labelled else "the class that the run selected"
    return Probabilities(series.name, row, values[row], of)


def one_each(series: Sequence[Series]) -> list[int]:
    """Positions of one run for each classifier, sigma and set of inputs: that with most samples.

    Args:
        series: the runs as arrays.
    """
    best: dict[str, int] = {}
    for position, one in enumerate(series):
        source = [one.settings.get(name) for name in ("model", "data")]
        key = json.dumps([source, one.sigma, sorted(one.index.tolist())], default=str)
        if source[0] is None:
            key = str(position)
        if key not in best or one.n > series[best[key]].n:
            best[key] = position
    return sorted(best.values())


def _of_label(certificates: Certificates, label: NDArray[np.int64]) -> NDArray[np.float64]:
    """p̂ of the labels among the other classes."""
    tally = certificates.tally
    if not tally.counts_classes:
        return np.zeros(len(label))
    assert tally.class_ids is not None
    votes = np.where(tally.class_ids == label[:, None], tally.class_votes(), 0)
    return votes.sum(axis=1) / tally.n
