"""Training with Gaussian noise: the base classifier then knows the inputs it is asked about when it is smoothed.

Source: Cohen, Rosenfeld, Kolter 2019, section 3.3. One row of `RECIPES` a data set.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sosmooth.classifiers.architectures import build
from sosmooth.classifiers.weights import save_weights
from sosmooth.datasets import FOLDER_DATASETS, InputSet, load_dataset
from sosmooth.training.augmentation import cropped_and_flipped
from sosmooth.training.checkpoint import (
    Checkpoint,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
)

_EVALUATION_BATCH = 2000
#: The final accuracy under noise is a mean over as many draws, spread over the test data.
_NOISY_EVALUATIONS = 100_000

Schedule = Literal["cosine", "step"]


@dataclass(frozen=True)
class Epoch:
    """What is told after each pass over the training data.

    Attributes:
        number: of `epochs`. loss: the mean of the pass. learning_rate: of its last step. seconds: since the start.
        noisy_accuracy: on the test data, under noise of sigma, in [0, 1]; None where nothing was measured.
        state: makes a copy of all that a resume needs.
    """

    number: int
    epochs: int
    loss: float
    learning_rate: float
    seconds: float
    state: Callable[[], dict[str, Tensor]] = field(repr=False, compare=False)
    noisy_accuracy: float | None = None


@dataclass(frozen=True)
class Recipe:
    """How the classifier of a data set is trained by default.

    Attributes:
        architecture: a key of `ARCHITECTURES`.
        augment: whether images are cropped and flipped at random.
        threads: of the CPU, so that the weights do not depend on how many the machine has; None: all.
    """

    architecture: str
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Schedule = "cosine"
    augment: bool = False
    threads: int | None = None


RECIPES: dict[str, Recipe] = {
    "mnist7": Recipe("mnist7_cnn", epochs=20, batch_size=256, learning_rate=0.1, threads=1),
    "mnist7_pca10": Recipe("pca10_mlp", epochs=20, batch_size=256, learning_rate=0.1, threads=1),
    "swiss_roll": Recipe(
        "swiss_roll_mlp", epochs=100, batch_size=100, learning_rate=0.01, threads=1
    ),
    "cifar10": Recipe(
        "resnet110", epochs=90, batch_size=256, learning_rate=0.1, schedule="step", augment=True
    ),
}


def train_dataset(
    name: str,
    *,
    sigma: float,
    out: Path,
    folder: Path | None = None,
    architecture: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    schedule: Schedule | None = None,
    seed: int = 0,
    device: str = "cpu",
    amp: bool = False,
    resume: bool = False,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> dict[str, Any]:
    """Train the classifier of a data set by its recipe, measure it, and write it to `out`.

    After each epoch a checkpoint, `*.checkpoint.safetensors`, and a table of the epochs, `*.log.csv`, are written beside `out`;
    the checkpoint is removed when the weights are there.

    Args:
        name: a key of `RECIPES`.
        sigma: noise added in training, in units of the inputs, zero or positive.
        out: a `.safetensors` file; replaced if it is there.
        folder: of the data set's standard files; for data sets that are not bundled.
        architecture, epochs, batch_size, learning_rate, schedule: in place of the recipe's.
        seed: of the starting weights, the order, the crops and the noise.
        device: where to train.
        amp: whether to compute in bfloat16 where that is safe (mixed precision), for speed on a GPU.
        resume: whether to go on from the checkpoint, if there is one.
        on_epoch: called after each pass.
    Returns:
        The metadata that the file holds: architecture, sigma, the training settings, the accuracy on the test data, in [0, 1],
        clean and under noise of sigma.
    Raises:
        FileNotFoundError: the data set's files are not there.
        ValueError: unknown name, an argument out of range, an architecture for other inputs, a checkpoint that is in the way or
            belongs to another training.
        ArithmeticError: the training diverged.
        OSError: a file cannot be written; those that were there before stay whole.
    Guarantee:
        On the CPU equal weights to the bit for equal arguments, number of threads, kind of processor and version of torch,
        however often it was interrupted and resumed.
    """
    out = Path(out)
    recipe = _changed_recipe(name, architecture, epochs, batch_size, learning_rate, schedule)
    if out.suffix != ".safetensors" or out.is_dir():
        raise ValueError(f"weights are written to .safetensors files; got {str(out)!r}")
    there = checkpoint_path(out).exists()
    if there and not resume:
        raise ValueError(
            f"{checkpoint_path(out)} is from an unfinished training; go on with --resume, or remove it"
        )
    settings = asdict(recipe)
    del settings["architecture"], settings["threads"]

    train, test = (load_dataset(_spec(name, split, folder)) for split in ("train", "test"))
    model = build(recipe.architecture, seed=seed)
    _check_architecture(recipe.architecture, model, train)
    about = {
        "architecture": recipe.architecture,
        "num_classes": train.num_classes,
        "data": train.name,
        "data_sha256": train.settings["sha256"],
        "sigma": sigma,
        "seed": seed,
        "amp": amp,
        **settings,
    }
    identity = about | {"device": torch.device(device).type}
    start = load_checkpoint(out, identity) if there else None
    history = [] if start is None else start.history
    seconds_before = history[-1]["seconds"] if history else 0.0
    inputs, labels = torch.from_numpy(train.get(range(len(train)))), torch.from_numpy(train.labels)
    test_inputs, test_labels = (
        torch.from_numpy(test.get(range(len(test)))),
        torch.from_numpy(test.labels),
    )

    def measure(noise: float, repeats: int = 1) -> float:
        return accuracy(
            model, test_inputs, test_labels, sigma=noise, repeats=repeats, seed=seed, device=device
        )

    def keep(epoch: Epoch) -> None:
        epoch = replace(
            epoch, noisy_accuracy=measure(sigma), seconds=seconds_before + epoch.seconds
        )
        history.append({column: getattr(epoch, attribute) for column, attribute in _LOGGED.items()})
        save_checkpoint(out, Checkpoint(epoch.state(), identity, history))
        if on_epoch is not None:
            on_epoch(epoch)

    with _threads(recipe.threads):
        train_with_noise(
            model,
            inputs,
            labels,
            sigma=sigma,
            seed=seed,
            device=device,
            amp=amp,
            resume=None if start is None else start.state,
            on_epoch=keep,
            **settings,
        )
        clean = measure(0.0)
        noisy = measure(sigma, repeats=max(1, _NOISY_EVALUATIONS // len(test)))
    metadata = about | {
        "clean_accuracy": clean,
        "noisy_accuracy": noisy,
        "torch": torch.__version__,
    }
    save_weights(out, model, metadata)
    checkpoint_path(out).unlink()
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
    augment: bool = False,
    seed: int = 0,
    device: str = "cpu",
    amp: bool = False,
    resume: Mapping[str, Tensor] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> None:
    """Train by SGD with Nesterov momentum: minimise `E[cross entropy(model(x + ε), y)]`, `ε ~ N(0, σ² I)` drawn afresh each time.

    Args:
        model: floating inputs → scores; trained in place, left on `device` and in eval mode.
        inputs: floating (length, *shape). labels: int64 (length,), each in [0, classes).
        sigma: in units of the inputs, zero or positive. epochs, batch_size: at least 1. learning_rate: positive, at the start.
        momentum: in (0, 1). weight_decay: zero or positive.
        schedule: of the learning rate: `cosine` to zero, or `step`: a tenth after each third.
        augment: whether inputs, images then, are cropped and flipped at random, before the noise.
        seed: of order, crops and noise. device: where to train. amp: whether to compute in bfloat16 where that is safe.
        resume: the `state` of an epoch of a training with the same arguments, to go on after it.
        on_epoch: called after each pass.
    Raises:
        ValueError: an argument out of range, unknown labels, a state of another network.
        ArithmeticError: the loss is not finite.
    """
    _check_training(inputs, labels, sigma, epochs, batch_size, learning_rate, schedule, augment)
    model.to(device)
    inputs, labels = inputs.to(device), labels.to(device)
    order = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.SGD(
        model.parameters(), learning_rate, momentum, weight_decay=weight_decay, nesterov=True
    )
    done = 0 if resume is None else _restore(resume, model, optimizer, order, noise)
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
                f"the training diverged in epoch {number}: the loss is {mean}; lower the learning rate {learning_rate}"
            )
        if on_epoch is not None:
            last, seconds = float(optimizer.param_groups[0]["lr"]), time.perf_counter() - started
            state = partial(_state, number, model, optimizer, order, noise)
            on_epoch(Epoch(number, epochs, mean, last, seconds, state))
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
            for batch, wanted in zip(
                inputs.split(_EVALUATION_BATCH), labels.split(_EVALUATION_BATCH), strict=True
            ):
                noise = sigma * torch.randn(batch.shape, generator=generator, device=device)
                right += int((model(batch.to(device) + noise).argmax(1) == wanted.to(device)).sum())
    return right / (repeats * len(inputs))


#: Column of the log → attribute of an epoch.
_LOGGED = {
    "epoch": "number",
    "loss": "loss",
    "noisy_accuracy": "noisy_accuracy",
    "learning_rate": "learning_rate",
    "seconds": "seconds",
}


def _changed_recipe(name: str, architecture: str | None, *changes: Any) -> Recipe:
    if name not in RECIPES:
        raise ValueError(f"no training recipe for {name!r}; there are: {', '.join(RECIPES)}")
    names = ("architecture", "epochs", "batch_size", "learning_rate", "schedule")
    given = dict(zip(names, (architecture, *changes), strict=True))
    return replace(
        RECIPES[name], **{key: value for key, value in given.items() if value is not None}
    )


def _spec(name: str, split: str, folder: Path | None) -> str:
    if name not in FOLDER_DATASETS:
        if folder is not None:
            raise ValueError(
                f"{name} is bundled and takes no folder; got {str(folder)!r}; leave it out"
            )
        return f"{name}:{split}"
    return f"{name}:{split}:{'' if folder is None else folder}"


def _check_architecture(name: str, model: nn.Module, data: InputSet) -> None:
    """One input goes through it, and comes out as scores of the data's classes."""
    one = torch.from_numpy(data.get([0]))
    try:
        with torch.inference_mode():
            found = tuple(model.eval()(one).shape)
    except (RuntimeError, ValueError, IndexError):
        found = None
    if found != (1, data.num_classes):
        raise ValueError(
            f"the architecture {name} is not for {data.name}, inputs of shape {tuple(one.shape[1:])} in {data.num_classes}"
            " classes; leave it out for the usual one"
        )


def _state(
    epoch: int,
    model: nn.Module,
    optimizer: torch.optim.SGD,
    order: torch.Generator,
    noise: torch.Generator,
) -> dict[str, Tensor]:
    """What `_restore` takes: copies, on the CPU."""
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        state[f"momentum.{name}"] = optimizer.state[parameter]["momentum_buffer"]
    state |= {
        "generator.order": order.get_state(),
        "generator.noise": noise.get_state(),
        "epoch": torch.tensor(epoch),
    }
    return {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
    }


def _restore(
    state: Mapping[str, Tensor],
    model: nn.Module,
    optimizer: torch.optim.SGD,
    order: torch.Generator,
    noise: torch.Generator,
) -> int:
    """Put everything back where `_state` found it: the number of epochs done."""
    own = model.state_dict()
    names = {f"model.{name}" for name in own} | {
        f"momentum.{name}" for name, _ in model.named_parameters()
    }
    if not names | {"generator.order", "generator.noise", "epoch"} <= state.keys():
        raise ValueError(
            "the training to be resumed had another network; resume with the same settings"
        )
    model.load_state_dict({name: state[f"model.{name}"] for name in own})
    for name, parameter in model.named_parameters():
        optimizer.state[parameter]["momentum_buffer"] = state[f"momentum.{name}"].to(
            parameter.device, copy=True
        )
    order.set_state(state["generator.order"])
    noise.set_state(state["generator.noise"])
    return int(state["epoch"])


def _check_training(
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
    if augment and inputs.ndim != 4:
        raise ValueError(
            f"augment is for images (length, channels, height, width); got shape {tuple(inputs.shape)}"
        )


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
