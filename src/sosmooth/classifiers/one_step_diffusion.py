"""A diffusion model as a denoiser: one step, from the noise level of the smoothing to clean."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

#: What the network of a diffusion model may predict.
PREDICTIONS = ("epsilon", "v_prediction", "sample")


class OneStepDiffusion(nn.Module):
    r"""The clean image that a diffusion model predicts in one step.

    The model knows images in [−1, 1]. So an input x in [0, 1] becomes `2x − 1`, and noise of sigma
    becomes noise of 2 sigma. Its step t mixes the image with noise as `√ᾱₜ x₀ + √(1 − ᾱₜ) z`. The
    step used is the one whose noise level `√((1 − ᾱₜ)/ᾱₜ)` is nearest to 2 sigma in ratio.
    From the prediction, for `xₜ = √ᾱₜ (2x − 1)`,

    - `epsilon`: `x₀ = (xₜ − √(1 − ᾱₜ) ε)/√ᾱₜ`;
    - `v_prediction`: `x₀ = √ᾱₜ xₜ − √(1 − ᾱₜ) v`;
    - `sample`: the prediction is `x₀`.

    `x₀` is cut off to [−1, 1] and goes back to [0, 1]. Nothing is drawn: it is a fixed function.

    Args:
        network: `(x, t) → prediction`, or an object with the attribute `sample`. x is
            (batch, channels, height, width); t is int64 (batch,). Of a prediction with twice as
            many channels, as networks with a learned variance give, the first half is used.
        alphas_cumprod: `ᾱₜ` of every step, falling, in [0, 1), (steps,).
        sigma: of the smoothing, in units of inputs in [0, 1].
        prediction: what the network predicts, one of `PREDICTIONS`.

    Raises:
        ValueError: an unknown kind of prediction, a schedule that does not fall or leaves [0, 1), a
            sigma that the schedule does not reach.

    Source:
        Carlini, Tramer, Dvijotham, Rice, Sun, Kolter 2023, section 3; Salimans and Ho 2022,
        appendix D (v-prediction).
    """

    def __init__(
        self,
        network: Callable[..., Any],
        alphas_cumprod: NDArray[np.floating] | Tensor,
        *,
        sigma: float,
        prediction: str = "epsilon",
    ):
        super().__init__()
        if prediction not in PREDICTIONS:
            raise ValueError(
                f"prediction must be one of {', '.join(PREDICTIONS)}; got {prediction!r}"
            )
        self.network = network
        self.prediction = prediction
        schedule = np.asarray(alphas_cumprod, dtype=np.float64)
        self.step = nearest_step(schedule, 2 * sigma)
        kept = float(schedule[self.step])
        self._of_image, self._of_noise = math.sqrt(kept), math.sqrt(1 - kept)

    def forward(self, inputs: Tensor) -> Tensor:
        """The clean images, in [0, 1].

        Args:
            inputs: images in [0, 1] with noise of sigma, (batch, channels, height, width).
        """
        noisy = self._of_image * (2 * inputs - 1)
        step = torch.full((len(inputs),), self.step, dtype=torch.int64, device=inputs.device)
        returned = self.network(noisy, step)
        predicted = getattr(returned, "sample", returned)
        channels = inputs.shape[1]
        if predicted.shape[1] == 2 * channels:
            predicted = predicted[:, :channels]
        if self.prediction == "epsilon":
            image = (noisy - self._of_noise * predicted) / self._of_image
        elif self.prediction == "v_prediction":
            image = self._of_image * noisy - self._of_noise * predicted
        else:
            image = predicted
        return (image.clamp(-1, 1) + 1) / 2


def nearest_step(alphas_cumprod: NDArray[np.float64], noise: float) -> int:
    """The step of a schedule whose noise level is nearest to `noise`, as a ratio.

    Args:
        alphas_cumprod: `ᾱₜ` of every step, falling, in [0, 1), (steps,).
        noise: the noise level, in units of images in [−1, 1], positive.

    Raises:
        ValueError: no such schedule, or a noise level outside it.
    """
    kept = alphas_cumprod
    falls = kept.ndim == 1 and len(kept) > 0 and bool(np.all(np.diff(kept) < 0))
    if not falls or not (kept[-1] >= 0 and kept[0] < 1):
        raise ValueError("alphas_cumprod must fall from step to step and stay in [0, 1)")
    with np.errstate(divide="ignore"):  # some schedules end with noise alone
        levels = np.sqrt((1 - kept) / kept)
    if not levels[0] / 2 <= noise <= levels[-1]:
        raise ValueError(
            f"the diffusion model knows noise levels from {levels[0]:.3g} to {levels[-1]:.3g} of"
            f" images in [-1, 1], that is sigma from {levels[0] / 2:.3g} to {levels[-1] / 2:.3g};"
            f" got sigma {noise / 2:.3g}"
        )
    return int(np.argmin(np.abs(np.log(levels) - math.log(noise))))
