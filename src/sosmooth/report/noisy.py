"""What the classifier saw of an input, drawn again from the seed.

These are its noisy copies, and the direction that changes the class probability most.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sosmooth.datasets.inputs import InputSet
from sosmooth.results import Certificate
from sosmooth.runs.run import Run
from sosmooth.sampling import lattice, noise
from sosmooth.sampling.counts import Estimation
from sosmooth.sampling.engine import Engine
from sosmooth.sampling.evaluator import BaseClassifier, Evaluator
from sosmooth.sampling.modes import EvaluationMode
from sosmooth.sampling.sums import Part
from sosmooth.tally import Design

_BATCH = 1000
_SHOWN = 4  # noisy copies of an input
# Relative: the direction drawn again must have the stored length up to rounding, or it is not the
# one that the certificate used.
_SAME = 1e-6


@dataclass(frozen=True)
class Noisy:
    """One input as the classifier saw it.

    Attributes:
        input: (…), as in the data set.
        copies: the first noisy copies of the estimation, (copies, …).
        signs: of the noise of each copy: +1 for x + ε, −1 for x − ε.
        answers: the classes of the copies; None without a classifier.
        direction: of the gradient of the probability of the class `selected`, a unit vector (…);
            None where none was drawn.
        selected: the class that the run selected.
    """

    input: NDArray[np.float32]
    copies: NDArray[np.float32]
    signs: list[int]
    answers: list[int] | None
    direction: NDArray[np.float64] | None
    selected: int


def redrawable(run: Run) -> bool:
    """Whether the noise of the run can be drawn again here.

    It needs a seed, noise of this version's kind, drawn on the CPU, and no stopping rule: a run
    that stops draws in other blocks.
    """
    settings = run.manifest.settings
    drawn_here = (
        settings.get("noise") in (noise.SCHEME, lattice.SCHEME) and settings.get("device") == "cpu"
    )
    return drawn_here and settings.get("seed") is not None and not run.stops


def noisy_of(
    run: Run, inputs: InputSet, indices: Sequence[int], classifier: BaseClassifier | None = None
) -> dict[int, Noisy]:
    """Images of a run as the classifier saw them, by index.

    Args:
        run: one whose noise is `redrawable`.
        inputs: those it was made from.
        indices: of its inputs.
        classifier: the base classifier that it certified; None: no answers and no direction.

    Raises:
        ClassifierError: the classifier raised, or its output was no vote.

    Guarantee:
        The copies equal the first ones of the run's estimation to the bit, for the same version of
        torch.
    """
    certificates = run.certificates()
    row = {index: k for k, index in enumerate(certificates.input_index.tolist())}
    spacing = run.manifest.settings.get("lattice")
    evaluator = None
    if classifier is not None and run.manifest.num_classes is not None:
        evaluator = Evaluator(
            classifier, run.manifest.num_classes, run.manifest.batch_size or _BATCH
        )
    with (
        torch.inference_mode(),
        EvaluationMode(classifier) if classifier is not None else nullcontext(),
    ):
        return {
            index: _noisy(certificates[row[index]], inputs.get([index]), spacing, evaluator)
            for index in indices
        }


def _noisy(
    one: Certificate, batch: NDArray[np.float32], spacing: float | None, evaluator: Evaluator | None
) -> Noisy:
    copies, signs = _copies(one, torch.from_numpy(batch), spacing)
    if evaluator is None:
        return Noisy(batch[0], copies.numpy(), signs, None, None, one.selected)
    direction = _direction(one, batch, spacing, evaluator)
    return Noisy(
        batch[0],
        copies.numpy(),
        signs,
        evaluator.labels(copies.clone).tolist(),
        direction,
        one.selected,
    )


def _copies(
    one: Certificate, batch: torch.Tensor, spacing: float | None
) -> tuple[torch.Tensor, list[int]]:
    """The first noisy copies of the estimation, and the signs of their noise."""
    n = int(one.tally.n[0])
    vectors, sides = (n // 2, (1, -1)) if one.tally.design is Design.ANTITHETIC else (n, (1,))
    source = lattice.noise_source(
        int(one.seed or 0), batch.device, sigma=one.sigma, lattice=spacing
    )
    block = next(
        noise.blocks_of(0, one.input_index, noise.Stage.ESTIMATION, vectors, batch[0].numel())
    )
    drawn = torch.empty((block.vectors, *batch.shape[1:]), dtype=source.dtype)
    source.fill(drawn, block)
    signs = list(sides) * (min(_SHOWN, n) // len(sides))
    copies = torch.empty((len(signs), *batch.shape[1:]), dtype=batch.dtype)
    for k, sign in enumerate(signs):
        vector = k // len(sides)
        source.add(
            source.centers(batch)[0], drawn[vector : vector + 1], sign=sign, out=copies[k : k + 1]
        )
    return copies, signs


def _direction(
    one: Certificate, batch: NDArray[np.float32], spacing: float | None, evaluator: Evaluator
) -> NDArray[np.float64] | None:
    """The direction of the gradient that the certificate used; None where it used none."""
    tally = one.tally
    if (
        tally.direction_pairs is None
        or tally.direction_norm is None
        or not tally.direction_pairs[0] > 0
    ):
        return None
    pairs, n = int(tally.direction_pairs[0]), int(tally.n[0])
    # Half a pair more, so that rounding down gives all of them.
    fraction = (pairs + 0.5) / (n // 2)
    dimension = batch[0].size
    estimation = Estimation(
        one.input_index, tally.design, n, one.selected, dimension, direction_share=fraction
    )
    engine = Engine(
        evaluator,
        torch.from_numpy(batch),
        sigma=one.sigma,
        seed=int(one.seed or 0),
        lattice=spacing,
    )
    (counts,) = engine.count([Part(0, estimation, stop=pairs)])
    direction, norm = counts.direction(estimation)
    same = np.isclose(norm, tally.direction_norm[0], rtol=_SAME, atol=0)
    return direction.reshape(batch.shape[1:]) if same else None
