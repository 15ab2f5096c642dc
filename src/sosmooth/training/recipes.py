"""How the classifier of each data set is trained by default: one row of `RECIPES` a data set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

Schedule = Literal["cosine", "step"]


@dataclass(frozen=True)
class Recipe:
    """How the classifier of a data set is trained by default.

    Attributes:
        architecture: a key of `ARCHITECTURES`.
        epochs: passes over the training data.
        batch_size: inputs a step.
        learning_rate: at the start.
        momentum: of SGD.
        weight_decay: of SGD.
        schedule: of the learning rate, as for `train_with_noise`.
        augment: whether images are cropped and flipped at random.
        threads: of the CPU; fixed so that the weights do not depend on how many the machine has.
            None: all.
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


def changed_recipe(name: str, **changes: Any) -> Recipe:
    """The recipe of a data set, with the changes that are not None.

    Args:
        name: a key of `RECIPES`.
        changes: attributes of a `Recipe`; None: as the recipe has it.

    Raises:
        ValueError: there is no such recipe.
    """
    if name not in RECIPES:
        raise ValueError(f"no training recipe for {name!r}; there are: {', '.join(RECIPES)}")
    given = {key: value for key, value in changes.items() if value is not None}
    return replace(RECIPES[name], **given)
