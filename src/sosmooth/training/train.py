"""The classifier of a data set, trained by its recipe and written with its accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sosmooth._progress import Progress, silent
from sosmooth.classifiers.architectures import build
from sosmooth.classifiers.weights import save_weights
from sosmooth.datasets import FOLDER_DATASETS, InputSet, load_dataset
from sosmooth.training.accuracy import accuracy
from sosmooth.training.checkpoint import (
    Checkpoint,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
)
from sosmooth.training.recipes import Recipe
from sosmooth.training.sgd import Epoch, train_with_noise

#: The final accuracy under noise is a mean over as many draws, spread over the test data.
_NOISY_EVALUATIONS = 100_000
#: Column of the log → attribute of an epoch.
_LOGGED = {
    "epoch": "number",
    "loss": "loss",
    "noisy_accuracy": "noisy_accuracy",
    "learning_rate": "learning_rate",
    "seconds": "seconds",
}


def train_dataset(
    name: str,
    recipe: Recipe,
    *,
    out: Path,
    folder: Path | None = None,
    resume: bool = False,
    on_epoch: Callable[[Epoch], None] | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train the classifier of a data set by a recipe, measure it, and write it to `out`.

    After each epoch a checkpoint, `*.checkpoint.safetensors`, and a table of the epochs,
    `*.log.csv`, are written beside `out`. The checkpoint is removed when the weights are written.

    Args:
        name: of the data set, as `load_dataset` takes it.
        recipe: architecture and settings; `changed_recipe` has those of the known data sets.
        out: a `.safetensors` file; replaced if it is there.
        folder: of the data set's standard files; for data sets that are not bundled.
        resume: whether to continue from the checkpoint, if there is one.
        on_epoch: called after each pass.
        progress: of the steps; counts inputs, those of a resumed training's earlier epochs as
            stored.

    Returns:
        The metadata that the file holds: architecture, sigma, the training settings, and the
        accuracy on the test data, in [0, 1], clean and under noise of sigma.

    Raises:
        FileNotFoundError: the data set's files are not there.
        ValueError: unknown name, an architecture for other inputs, a device that is not available,
            a checkpoint that is in the way or belongs to another training.
        ArithmeticError: the training diverged.
        OSError: a file cannot be written; those that were there before stay whole.

    Guarantee:
        On the CPU, weights are equal to the bit for equal arguments, number of threads, kind of
        processor and version of torch, however often the training was interrupted and resumed.
    """
    out, settings = Path(out), recipe.settings
    if out.suffix != ".safetensors" or out.is_dir():
        raise ValueError(f"weights are written to .safetensors files; got {str(out)!r}")
    there = checkpoint_path(out).exists()
    if there and not resume:
        raise ValueError(
            f"{checkpoint_path(out)} is from an unfinished training; resume it (resume=True), or"
            " remove the file"
        )

    train, test = (load_dataset(_spec(name, split, folder)) for split in ("train", "test"))
    model = build(recipe.architecture, seed=settings.seed)
    _check_architecture(recipe.architecture, model, train)
    about = {
        "architecture": recipe.architecture,
        "num_classes": train.num_classes,
        "data": train.name,
        "data_sha256": train.settings["sha256"],
        **settings.recorded,
    }
    identity = about | {"device": settings.device_type}
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
            model,
            test_inputs,
            test_labels,
            sigma=noise,
            repeats=repeats,
            seed=settings.seed,
            device=settings.device,
        )

    def keep(epoch: Epoch) -> None:
        epoch = replace(
            epoch, noisy_accuracy=measure(settings.sigma), seconds=seconds_before + epoch.seconds
        )
        history.append({column: getattr(epoch, attribute) for column, attribute in _LOGGED.items()})
        save_checkpoint(out, Checkpoint(epoch.state(), identity, history))
        if on_epoch is not None:
            on_epoch(epoch)

    total = settings.epochs * len(train)
    with (
        _threads(recipe.threads),
        progress(total, f"{recipe.architecture}, {settings.epochs} epochs", "inputs") as advance,
    ):
        if history:
            advance.stored(len(history) * len(train))
        train_with_noise(
            model,
            inputs,
            labels,
            settings,
            resume=None if start is None else start.state,
            on_epoch=keep,
            progress=advance,
        )
        clean = measure(0.0)
        noisy = measure(settings.sigma, repeats=max(1, _NOISY_EVALUATIONS // len(test)))
    metadata = about | {
        "clean_accuracy": clean,
        "noisy_accuracy": noisy,
        "torch": torch.__version__,
    }
    save_weights(out, model, metadata)
    checkpoint_path(out).unlink()
    return metadata


def _spec(name: str, split: str, folder: Path | None) -> str:
    if name not in FOLDER_DATASETS:
        if folder is not None:
            raise ValueError(
                f"{name} is bundled and takes no folder; got {str(folder)!r}; leave it out"
            )
        return f"{name}:{split}"
    return f"{name}:{split}:{'' if folder is None else folder}"


def _check_architecture(name: str, model: nn.Module, data: InputSet) -> None:
    """The network must turn an input into scores of the data's classes."""
    one = torch.from_numpy(data.get([0]))
    try:
        with torch.inference_mode():
            found = tuple(model.eval()(one).shape)
    except (RuntimeError, ValueError, IndexError):
        found = None
    if found != (1, data.num_classes):
        raise ValueError(
            f"the architecture {name} is not for {data.name}, inputs of shape"
            f" {tuple(one.shape[1:])} in {data.num_classes} classes; leave it out for the usual one"
        )


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
