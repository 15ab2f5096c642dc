"""Training with Gaussian noise: the base classifier then knows the inputs it is asked about when it is smoothed.

Source: Cohen, Rosenfeld, Kolter 2019, section 3.3. One row of `RECIPES` a data set.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sosmooth.classifiers.architectures import build
from sosmooth.classifiers.weights import save_weights
from sosmooth.datasets import load_dataset

_EVALUATION_BATCH = 2000
_NOISY_REPEATS = 10

Schedule = Literal["cosine", "step"]


@dataclass(frozen=True)
class Epoch:
    """What a progress display is told after each pass: `number` of `epochs`, mean training loss, seconds since the start."""

    number: int
    epochs: int
    loss: float
    seconds: float


@dataclass(frozen=True)
class Recipe:
    """How the classifier of a data set is trained by default.

    Attributes:
        architecture: a key of `ARCHITECTURES`.
        threads: of the CPU, so that the weights do not depend on how many the machine has; None: all.
    """

    architecture: str
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Schedule = "cosine"
    threads: int | None = None


RECIPES: dict[str, Recipe] = {
    "mnist7": Recipe("mnist7_cnn", epochs=20, batch_size=256, learning_rate=0.1, threads=1),
}


def train_dataset(
    name: str,
    *,
    sigma: float,
    out: Path,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    on_epoch: Callable[[Epoch], None] | None = None,
) -> dict[str, Any]:
    """Train the classifier of a data set by its recipe, measure it, and write it to `out`.

    Args:
        name: a key of `RECIPES`.
        sigma: noise added in training, in units of the inputs, zero or positive.
        out: a `.safetensors` file; replaced if it is there.
        epochs: passes over the training data; None: the recipe's.
        seed: of the starting weights, the order and the noise.
        device: where to train. on_epoch: called after each pass.
    Returns:
        The metadata that the file holds: architecture, sigma, the training settings, the accuracy on the test data, in [0, 1],
        clean and under noise of sigma.
    Raises:
        ValueError: unknown name, an argument out of range.
        ArithmeticError: the training diverged.
    Guarantee:
        Equal weights to the bit for equal arguments, kind of processor and version of torch.
    """
    if name not in RECIPES:
        raise ValueError(f"no training recipe for {name!r}; there are: {', '.join(RECIPES)}")
    if Path(out).suffix != ".safetensors":
        raise ValueError(f"weights are written to .safetensors files; got {str(out)!r}")
    recipe = RECIPES[name]
    settings = asdict(recipe)
    del settings["architecture"], settings["threads"]
    if epochs is not None:
        settings["epochs"] = epochs

    train, test = load_dataset(f"{name}:train"), load_dataset(f"{name}:test")
    inputs, labels = torch.from_numpy(train.get(range(len(train)))), torch.from_numpy(train.labels)
    test_inputs, test_labels = torch.from_numpy(test.get(range(len(test)))), torch.from_numpy(test.labels)
    model = build(recipe.architecture, seed=seed)
    with _threads(recipe.threads):
        train_with_noise(model, inputs, labels, sigma=sigma, seed=seed, device=device, on_epoch=on_epoch, **settings)
        clean = accuracy(model, test_inputs, test_labels, device=device)
        noisy = accuracy(model, test_inputs, test_labels, sigma=sigma, repeats=_NOISY_REPEATS, seed=seed, device=device)
    metadata = {
        "architecture": recipe.architecture,
        "num_classes": train.num_classes,
        "data": train.settings["spec"],
        "data_sha256": train.settings["sha256"],
        "sigma": sigma,
        "seed": seed,
        **settings,
        "clean_accuracy": clean,
        "noisy_accuracy": noisy,
        "torch": torch.__version__,
    }
    save_weights(out, model, metadata)
    return metadata


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
    seed: int = 0,
    device: str = "cpu",
    on_epoch: Callable[[Epoch], None] | None = None,
) -> None:
    """Train by SGD with Nesterov momentum: minimise `E[cross entropy(model(x + ε), y)]`, `ε ~ N(0, σ² I)` drawn afresh each time.

    Args:
        model: floating inputs → scores; trained in place, left on `device` and in eval mode.
        inputs: floating (length, *shape). labels: int64 (length,), each in [0, classes).
        sigma: in units of the inputs, zero or positive. epochs, batch_size: at least 1. learning_rate: positive, at the start.
        momentum: in (0, 1). weight_decay: zero or positive.
        schedule: of the learning rate: `cosine` to zero, or `step`: a tenth after each third.
        seed: of order and noise. device: where to train. on_epoch: called after each pass.
    Raises:
        ValueError: an argument out of range, unknown labels.
        ArithmeticError: the loss is not finite.
    """
    _check_training(inputs, labels, sigma, epochs, batch_size, learning_rate, schedule)
    model.to(device).train()
    inputs, labels = inputs.to(device), labels.to(device)
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), learning_rate, momentum, weight_decay=weight_decay, nesterov=True)
    steps = epochs * math.ceil(len(inputs) / batch_size)
    rate = _cosine if schedule == "cosine" else _step
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step / steps))
    started = time.perf_counter()
    for number in range(1, epochs + 1):
        total = torch.zeros((), device=device)
        for rows in torch.randperm(len(inputs), generator=order).to(device).split(batch_size):
            batch = inputs[rows]
            batch = batch + sigma * torch.randn(batch.shape, generator=noise, device=device)
            loss = nn.functional.cross_entropy(model(batch), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.detach() * len(rows)
        mean = float(total) / len(inputs)
        if not math.isfinite(mean):
            raise ArithmeticError(
                f"the training diverged in epoch {number}: the loss is {mean}; lower the learning rate {learning_rate}"
            )
        if on_epoch is not None:
            on_epoch(Epoch(number, epochs, mean, time.perf_counter() - started))
    model.eval()


def accuracy(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    sigma: float = 0.0,
    repeats: int = 1,
    seed: int = 0,
    device: str = "cpu",
) -> float:
    """Share of the inputs, in [0, 1], that the model gives their label under noise of `sigma`; the mean of `repeats` draws."""
    model.to(device).eval()
    generator = torch.Generator(device).manual_seed(seed)
    right = 0
    with torch.inference_mode():
        for _ in range(repeats):
            for batch, wanted in zip(inputs.split(_EVALUATION_BATCH), labels.split(_EVALUATION_BATCH), strict=True):
                noise = sigma * torch.randn(batch.shape, generator=generator, device=device)
                right += int((model(batch.to(device) + noise).argmax(1) == wanted.to(device)).sum())
    return right / (repeats * len(inputs))


def _check_training(
    inputs: Tensor, labels: Tensor, sigma: float, epochs: int, batch_size: int, learning_rate: float, schedule: str
) -> None:
    if len(inputs) == 0 or labels.shape != (len(inputs),):
        raise ValueError(
            f"inputs and labels must be of one length, at least 1; got {tuple(inputs.shape)} and {tuple(labels.shape)}"
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


def _cosine(done: float) -> float:
    return (1 + math.cos(math.pi * done)) / 2


def _step(done: float) -> float:
    return 0.1 ** math.floor(3 * done)


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
