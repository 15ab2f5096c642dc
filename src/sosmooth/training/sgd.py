"""Training with Gaussian noise: the base classifier then knows the noisy inputs of smoothing.

Source: Cohen, Rosenfeld, Kolter 2019, section 3.3.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from sosmooth.training.augmentation import cropped_and_flipped
from sosmooth.training.settings import TrainingSettings
from sosmooth.training.state import TrainingState


@dataclass(frozen=True)
class Epoch:
    """A pass over the training data.

    Attributes:
        number: of this epoch, from 1.
        epochs: how many there are in all.
        loss: the mean of the pass.
        learning_rate: of its last step.
        seconds: since the start.
        state: makes a copy of all that a resume needs.
        noisy_accuracy: on the test data, under noise of sigma, in [0, 1]; None where it was not
            measured.
    """

    number: int
    epochs: int
    loss: float
    learning_rate: float
    seconds: float
    state: Callable[[], dict[str, Tensor]] = field(repr=False, compare=False)
    noisy_accuracy: float | None = None


def train_with_noise(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    settings: TrainingSettings,
    *,
    resume: Mapping[str, Tensor] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    progress: Callable[[int], None] = lambda inputs: None,
) -> None:
    """Train by SGD with Nesterov momentum, under Gaussian noise.

    Minimises `E[cross entropy(model(x + ε), y)]`, with `ε ~ N(0, σ² I)` drawn afresh each time.

    Args:
        model: floating inputs → scores; trained in place, left on its device and in eval mode.
        inputs: floating (length, *shape).
        labels: int64 (length,), each in [0, classes).
        settings: of the training.
        resume: the `state` of an epoch of a training with the same arguments, to continue after it.
        on_epoch: called after each pass.
        progress: called with the number of inputs of the step just done.

    Raises:
        ValueError: inputs that are no images where they are augmented, unknown labels, a device
            that is not available, a state of another network.
        ArithmeticError: the loss is not finite.
    """
    _check_data(inputs, labels, settings)
    training = TrainingState.start(model, settings)
    inputs, labels = inputs.to(settings.device), labels.to(settings.device)
    done = 0 if resume is None else training.restore(resume)
    started = time.perf_counter()
    for number in range(done + 1, settings.epochs + 1):
        loss = _train_epoch(training, inputs, labels, settings, number, progress)
        if not math.isfinite(loss):
            raise ArithmeticError(
                f"the training diverged in epoch {number}: the loss is {loss}; lower the learning"
                f" rate {settings.learning_rate}"
            )
        if on_epoch is not None:
            last = float(training.optimizer.param_groups[0]["lr"])
            seconds = time.perf_counter() - started
            state = partial(training.copy, number)
            on_epoch(Epoch(number, settings.epochs, loss, last, seconds, state))
    model.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
    model.eval()


def _train_epoch(
    training: TrainingState,
    inputs: Tensor,
    labels: Tensor,
    settings: TrainingSettings,
    number: int,
    progress: Callable[[int], None],
) -> float:
    """Pass once over the inputs; the mean loss."""
    device, model, optimizer = settings.device, training.model.train(), training.optimizer
    rate = _cosine if settings.schedule == "cosine" else _step
    steps = math.ceil(len(inputs) / settings.batch_size)
    total = torch.zeros((), device=device)
    order = torch.randperm(len(inputs), generator=training.order).to(device)
    for step, rows in enumerate(order.split(settings.batch_size)):
        done = ((number - 1) * steps + step) / (settings.epochs * steps)
        optimizer.param_groups[0]["lr"] = settings.learning_rate * rate(done)
        batch = inputs[rows]
        if settings.augment:
            batch = cropped_and_flipped(batch, training.noise)
        noise = torch.randn(batch.shape, generator=training.noise, device=device)
        batch = batch + settings.sigma * noise
        if settings.channels_last:
            batch = batch.contiguous(memory_format=torch.channels_last)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=settings.amp):
            loss = nn.functional.cross_entropy(model(batch), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(rows)
        progress(len(rows))
    return float(total) / len(inputs)


def _check_data(inputs: Tensor, labels: Tensor, settings: TrainingSettings) -> None:
    if len(inputs) == 0 or labels.shape != (len(inputs),):
        raise ValueError(
            "inputs and labels must have the same length, at least 1; got"
            f" {tuple(inputs.shape)} and {tuple(labels.shape)}"
        )
    if int(labels.min()) < 0:
        raise ValueError(f"label {int(labels.min())} cannot be trained on; labels must be 0 and up")
    for name in ("augment", "channels_last"):
        if getattr(settings, name) and inputs.ndim != 4:
            raise ValueError(
                f"{name} is for images (length, channels, height, width); got shape"
                f" {tuple(inputs.shape)}"
            )


def _cosine(done: float) -> float:
    return (1 + math.cos(math.pi * done)) / 2


def _step(done: float) -> float:
    return 0.1 ** math.floor(3 * done)
