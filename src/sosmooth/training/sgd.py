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
from sosmooth.training.recipes import Schedule
from sosmooth.training.state import restore, training_state


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
    *,
    sigma: float,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
    schedule: Schedule = "cosine",
    augment: bool = False,
    seed: int = 0,
    device: str = "cpu",
    amp: bool = False,
    resume: Mapping[str, Tensor] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> None:
    """Train by SGD with Nesterov momentum, under Gaussian noise.

    Minimises `E[cross entropy(model(x + ε), y)]`, with `ε ~ N(0, σ² I)` drawn afresh each time.

    Args:
        model: floating inputs → scores; trained in place, left on `device` and in eval mode.
        inputs: floating (length, *shape).
        labels: int64 (length,), each in [0, classes).
        sigma: of the noise, in units of the inputs, zero or positive.
        epochs: passes over the inputs, at least 1.
        batch_size: inputs a step, at least 1.
        learning_rate: positive, at the start.
        momentum: in (0, 1).
        weight_decay: zero or positive.
        schedule: of the learning rate: `cosine` to zero, or `step`: a tenth after each third.
        augment: whether the inputs are images that are cropped and flipped at random, before the
            noise is added.
        seed: of order, crops and noise.
        device: where to train.
        amp: whether to compute in bfloat16 where that is safe.
        resume: the `state` of an epoch of a training with the same arguments, to continue after it.
        on_epoch: called after each pass.

    Raises:
        ValueError: an argument out of range, unknown labels, a state of another network.
        ArithmeticError: the loss is not finite.
    """
    _check(inputs, labels, sigma, epochs, batch_size, learning_rate, schedule, augment)
    model.to(device)
    inputs, labels = inputs.to(device), labels.to(device)
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.SGD(
        model.parameters(), learning_rate, momentum, weight_decay=weight_decay, nesterov=True
    )
    done = 0 if resume is None else restore(resume, model, optimizer, order, noise)
    rate = _cosine if schedule == "cosine" else _step
    steps = math.ceil(len(inputs) / batch_size)
    started = time.perf_counter()
    for number in range(done + 1, epochs + 1):
        model.train()
        total = torch.zeros((), device=device)
        for step, rows in enumerate(
            torch.randperm(len(inputs), generator=order).to(device).split(batch_size)
        ):
            optimizer.param_groups[0]["lr"] = learning_rate * rate(
                ((number - 1) * steps + step) / (epochs * steps)
            )
            batch = cropped_and_flipped(inputs[rows], noise) if augment else inputs[rows]
            batch = batch + sigma * torch.randn(batch.shape, generator=noise, device=device)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=amp):
                loss = nn.functional.cross_entropy(model(batch), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        mean = float(total) / len(inputs)
        if not math.isfinite(mean):
            raise ArithmeticError(
                f"the training diverged in epoch {number}: the loss is {mean}; lower the learning"
                f" rate {learning_rate}"
            )
        if on_epoch is not None:
            last, seconds = float(optimizer.param_groups[0]["lr"]), time.perf_counter() - started
            state = partial(training_state, number, model, optimizer, order, noise)
            on_epoch(Epoch(number, epochs, mean, last, seconds, state))
    model.eval()


def _check(
    inputs: Tensor,
    labels: Tensor,
    sigma: float,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    schedule: str,
    augment: bool,
) -> None:
    if len(inputs) == 0 or labels.shape != (len(inputs),):
        raise ValueError(
            "inputs and labels must have the same length, at least 1; got"
            f" {tuple(inputs.shape)} and {tuple(labels.shape)}"
        )
    if int(labels.min()) < 0:
        raise ValueError(f"label {int(labels.min())} cannot be trained on; labels must be 0 and up")
    if not (math.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"sigma must be zero or positive, in units of the inputs; got {sigma!r}")
    if epochs < 1 or batch_size < 1:
        raise ValueError(f"epochs and batch_size must be at least 1; got {epochs} and {batch_size}")
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise ValueError(f"learning_rate must be positive; got {learning_rate!r}")
    if schedule not in ("cosine", "step"):
        raise ValueError(f"unknown schedule {schedule!r}; there are: cosine, step")
    if augment and inputs.ndim != 4:
        raise ValueError(
            "augment is for images (length, channels, height, width); got shape"
            f" {tuple(inputs.shape)}"
        )


def _cosine(done: float) -> float:
    return (1 + math.cos(math.pi * done)) / 2


def _step(done: float) -> float:
    return 0.1 ** math.floor(3 * done)
