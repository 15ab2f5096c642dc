"""Commands that make what certification needs: train, download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from sosmooth._progress import duration, progress
from sosmooth.cli._advice import advise_after_training
from sosmooth.cli._interruption import said_if_interrupted
from sosmooth.cli._options import Json, Sigma, Whole, WholeOrNone
from sosmooth.cli._output import print_json, print_wrapped, say

if TYPE_CHECKING:
    from sosmooth.training.sgd import Epoch


def train(
    dataset: Annotated[
        str,
        Parameter(
            help="Data set: mnist7, mnist7_pca10, swiss_roll, or what `download` prints:"
            " mnist:FOLDER, cifar10:FOLDER."
        ),
    ],
    /,
    *,
    sigma: Sigma,
    data: Annotated[
        Path | None,
        Parameter(help="Folder of the data set's standard files, if DATASET does not name it."),
    ] = None,
    out: Annotated[
        Path | None,
        Parameter(help="Weights file.", show_default="DATASET_sigma_S.safetensors here"),
    ] = None,
    architecture: Annotated[
        str | None, Parameter(help="Network; for cifar10 resnet20, 32, 44, 56 or 110.")
    ] = None,
    epochs: Annotated[WholeOrNone, Parameter(help="Passes over the training data.")] = None,
    batch_size: Annotated[WholeOrNone, Parameter(help="Inputs a step.")] = None,
    learning_rate: Annotated[float | None, Parameter(help="Learning rate at the start.")] = None,
    schedule: Annotated[
        Literal["cosine", "step"] | None,
        Parameter(help="Learning rate: cosine to zero, or divided by 10 after each third."),
    ] = None,
    seed: Annotated[Whole, Parameter(help="Seed of weights, order, crops and noise.")] = 0,
    device: Annotated[str, Parameter(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    amp: Annotated[
        bool | None,
        Parameter(
            show_default=False,
            help="Mixed precision (bfloat16): for speed, where the device computes with it.",
        ),
    ] = None,
    channels_last: Annotated[
        bool | None,
        Parameter(
            show_default=False,
            help="Lay images out with the channels last, for speed; resnet20 for cifar10 has it.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Resume from the checkpoint beside the weights, if any.",
        ),
    ] = False,
    json: Json = False,
) -> int:
    """Train a classifier with Gaussian noise of this sigma.

    The data set's recipe gives the settings that are not given here. After each epoch, a checkpoint
    and a table of losses and accuracies under noise (*.log.csv) are written beside the weights.
    """
    from sosmooth.training.recipes import changed_recipe
    from sosmooth.training.train import train_dataset

    name, data = _named(dataset, data)
    label = name if architecture is None else f"{name}_{architecture}"
    out = out or Path(f"{label}_sigma_{_written(sigma)}.safetensors")
    recipe = changed_recipe(
        name,
        sigma=sigma,
        architecture=architecture,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=schedule,
        seed=seed,
        device=device,
        amp=amp,
        channels_last=channels_last,
    )
    with said_if_interrupted(lambda: _stored_beside(out, resume=resume)):
        metadata = train_dataset(
            name,
            recipe,
            out=out,
            folder=data,
            resume=resume,
            on_epoch=_show,
            progress=progress,
        )
    if json:
        print_json(metadata | {"weights": str(out)})
        return 0
    print_wrapped(
        f"{out}: {metadata['architecture']}, accuracy"
        f" {100 * metadata['clean_accuracy']:.1f} %, under noise of sigma {sigma:g}"
        f" {100 * metadata['noisy_accuracy']:.1f} %"
    )
    spec = name if data is None else f"{name}:{data}"
    advise_after_training(f"--model {out} --data {spec} --sigma {sigma:g}")
    return 0


def _named(dataset: str, folder: Path | None) -> tuple[str, Path | None]:
    """The name of the data set and its folder, which may be written as `NAME:FOLDER`."""
    name, colon, place = dataset.partition(":")
    if not colon:
        return name, folder
    if folder is not None:
        raise ValueError(f"DATASET names the folder {place!r} and --data {str(folder)!r}; give one")
    return name, Path(place)


def _stored_beside(out: Path, *, resume: bool) -> str:
    from sosmooth.training.checkpoint import checkpoint_path

    if not checkpoint_path(out).exists():
        return "no epoch was finished, so nothing is stored; run the same command again"
    how = "run the same command again" if resume else "add --resume to the same command"
    return f"finished epochs are stored in {checkpoint_path(out)}; {how} to resume"


def download(
    dataset: Annotated[Literal["mnist", "cifar10"], Parameter(help="mnist or cifar10.")],
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder to make; later commands take DATASET:FOLDER.")],
) -> int:
    """Fetch a data set's standard files and check their digests."""
    from sosmooth.datasets.download import download as fetch

    folder = fetch(dataset, out, on_file=lambda remote: say(f"fetching {remote.url}"))
    print(f"{dataset}:{folder}")
    return 0


def _written(sigma: float) -> str:
    """Two decimals, as `reproduce` fills in {sigma}; more where sigma has more."""
    return f"{sigma:.2f}" if round(sigma, 2) == sigma else f"{sigma:g}"


def _show(epoch: Epoch) -> None:
    say(
        f"epoch {epoch.number} of {epoch.epochs}: loss {epoch.loss:.4f}, accuracy under noise"
        f" {100 * (epoch.noisy_accuracy or 0):.1f} %, {duration(epoch.seconds)}"
    )
