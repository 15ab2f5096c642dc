"""The direction in which the scores of a class rise, for classifiers that have gradients.

It is the axis of `look_ahead`. It needs no guarantee: any direction that the estimation samples do
not change is sound.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from sosmooth.sampling.counts import Estimation
from sosmooth.sampling.evaluator import BaseClassifier, ClassifierError, one_tensor, output_of
from sosmooth.sampling.memory import is_out_of_memory
from sosmooth.sampling.noise import NoiseSource, Stage, blocks_of

# Scores are divided by this before the softmax: flat scores point elsewhere than the decisions that
# are certified. On a CIFAR-10 image the axis had a cosine of 0.86 to the gradient at 1, and of 0.98
# at 0.25 (docs/theory/look_ahead.md).
_TEMPERATURE = 0.25
# A pass back keeps what each layer returned.
_BATCH = 64


def with_score_axis(
    of: Estimation,
    classifier: BaseClassifier,
    x: torch.Tensor,
    *,
    sigma: float,
    copies: int,
    seed: int,
    batch_timeout: float | None = None,
    required: bool = False,
) -> Estimation:
    """The estimation with the axis that the scores give, or unchanged where they give none.

    Args:
        of: what is counted of the input.
        classifier: the base classifier, in eval mode.
        x: the input, on its device.
        sigma: noise level, input units.
        copies: noisy copies, as for `score_axis`.
        seed: for their noise.
        batch_timeout: seconds that one call may take; None: no limit.
        required: whether scores without gradients are an error.

    Raises:
        ClassifierError: required, and the classifier raised, or it has no gradients.
    """
    try:
        axis = score_axis(
            classifier,
            x,
            of.selected,
            sigma=sigma,
            copies=copies,
            index=of.index,
            seed=seed,
            batch_timeout=batch_timeout,
        )
    except ClassifierError:
        if required:
            raise
        return of  # another fault will show when the classifier is sampled
    if axis is not None:
        return replace(of, axis=axis.numpy())
    if required:
        raise ClassifierError(
            f"input {of.index}: direction 'gradient' needs scores that torch can differentiate,"
            " and that change; use 'samples' or 'auto'"
        )
    return of


def score_axis(
    classifier: BaseClassifier,
    x: torch.Tensor,
    label: int,
    *,
    sigma: float,
    copies: int,
    index: int,
    seed: int,
    batch_timeout: float | None = None,
) -> torch.Tensor | None:
    """The mean gradient of a class's softmax score over noisy copies, float64, of length 1.

    The noise is used for nothing else. The batches are always the same.

    Args:
        classifier: the base classifier, in eval mode.
        x: the input, on its device.
        label: the class.
        sigma: noise level, input units.
        copies: how many.
        index: of the input, for the noise.
        seed: likewise.
        batch_timeout: seconds that one call may take; None: no limit.

    Returns:
        Of the shape (features,), on the CPU; None where the classifier has no gradients, or where
        its scores do not change.

    Raises:
        ClassifierError: the classifier raised, also while passing back.
    """
    # Sampling is done in inference mode, and its tensors have no gradients. Copies have.
    with torch.inference_mode(mode=False), torch.enable_grad():
        source, x = NoiseSource(seed, x.device), x.clone()
        total = torch.zeros(x.numel(), dtype=torch.float64)
        for block in blocks_of(0, index, Stage.AXIS, copies, x.numel()):
            noise = torch.empty((block.vectors, *x.shape), device=x.device)
            source.fill(noise, block)
            for some in noise.split(_BATCH):
                slope = _slope(classifier, x, sigma * some, label, batch_timeout)
                if slope is None:
                    return None
                total += slope.flatten().cpu().double()
        length = float(torch.linalg.vector_norm(total))
        return total / length if 0 < length < torch.inf else None


def _slope(
    classifier: BaseClassifier,
    x: torch.Tensor,
    noise: torch.Tensor,
    label: int,
    batch_timeout: float | None,
) -> torch.Tensor | None:
    """The gradient of the sum of scores, in parts where memory runs out; None: there is none."""
    at = x.clone().requires_grad_()
    try:
        scores = one_tensor(output_of(classifier, at + noise, batch_timeout), len(noise))
        if not (scores.is_floating_point() and scores.requires_grad):
            return None
        score = torch.softmax(scores.double() / _TEMPERATURE, dim=1)[:, label].sum()
        return torch.autograd.grad(score, at, allow_unused=True)[0]
    except RuntimeError as error:
        if isinstance(error, ClassifierError):
            raise
        if not is_out_of_memory(error) or len(noise) == 1:
            raise ClassifierError(f"the classifier raised while passing back: {error}") from error
    parts = [_slope(classifier, x, part, label, batch_timeout) for part in noise.tensor_split(2)]
    return None if parts[0] is None or parts[1] is None else parts[0] + parts[1]
