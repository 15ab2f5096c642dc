"""Checkpoints: the state of a training after an epoch, in a safetensors file beside the weights."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from sosmooth._files import write_atomically
from sosmooth.classifiers.weights import read_tensors, write_tensors


@dataclass(frozen=True)
class Checkpoint:
    """A training after some epochs.

    Attributes:
        state: weights, momentum, generators and number of epochs, as `TrainingState.copy` returns
            them.
        identity: JSON-able settings that a resumed training must share.
        history: one row per epoch, JSON-able.
    """

    state: dict[str, Tensor]
    identity: dict[str, Any]
    history: list[dict[str, Any]]


def checkpoint_path(weights: Path) -> Path:
    """The checkpoint of the weights `a.safetensors`: `a.checkpoint.safetensors`."""
    return weights.with_suffix(".checkpoint.safetensors")


def log_path(weights: Path) -> Path:
    """The table of epochs of the weights `a.safetensors`: `a.log.csv`."""
    return weights.with_suffix(".log.csv")


def save_checkpoint(weights: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint of these weights, whole or not at all, and its history as a table.

    Args:
        weights: the file that the training will write.
        checkpoint: what to write; its history becomes one line per epoch.
    """
    metadata = {"checkpoint": checkpoint.identity, "history": checkpoint.history}
    write_tensors(checkpoint_path(weights), checkpoint.state, metadata)
    table = io.StringIO()
    writer = csv.DictWriter(table, list(checkpoint.history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(checkpoint.history)
    write_atomically(log_path(weights), table.getvalue().encode())


def load_checkpoint(weights: Path, identity: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint of these weights.

    Args:
        weights: the file that the training will write.
        identity: the settings of the training that wants to continue.

    Raises:
        FileNotFoundError: there is none.
        ValueError: no whole checkpoint, or one of a training with another `identity`; the first
            difference is named.
    """
    path = checkpoint_path(weights)
    state, metadata = read_tensors(path)
    found = metadata.get("checkpoint")
    if not isinstance(found, dict) or not isinstance(metadata.get("history"), list):
        raise ValueError(f"{path} is not a checkpoint of sosmooth train; remove it and train again")
    for name in {**found, **identity}:
        if found.get(name) != identity.get(name):
            raise ValueError(
                f"{path} comes from a training with {name} {found.get(name)}, not"
                f" {identity.get(name)}; resume with the same settings, or remove it"
            )
    return Checkpoint(state, found, metadata["history"])
