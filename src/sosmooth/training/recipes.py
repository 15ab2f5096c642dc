"""How the classifier of each data set is trained by default: one row of `RECIPES` a data set.

A row of `_OTHERS` is for another architecture that needs other settings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sosmooth.training.settings import TrainingSettings


@dataclass(frozen=True)
class Recipe:
    """How the classifier of a data set is trained.

    Attributes:
        architecture: a key of `ARCHITECTURES`.
        settings: of the training.
        threads: of the CPU; fixed so that the weights do not depend on how many the machine has.
            None: all.
    """

    architecture: str
    settings: TrainingSettings
    threads: int | None = None


_SMALL = TrainingSettings(epochs=20, batch_size=256, learning_rate=0.1)

#: By data set. The noise level is the caller's choice: `changed_recipe` sets it.
RECIPES: dict[str, Recipe] = {
    "mnist7": Recipe("mnist7_cnn", _SMALL, threads=1),
    "mnist": Recipe("mnist_cnn", _SMALL),
    "mnist7_pca10": Recipe("pca10_mlp", _SMALL, threads=1),
    "swiss_roll": Recipe(
        "swiss_roll_mlp",
        TrainingSettings(epochs=100, batch_size=100, learning_rate=0.01),
        threads=1,
    ),
    "cifar10": Recipe(
        "resnet110",
        TrainingSettings(
            epochs=90, batch_size=256, learning_rate=0.1, schedule="step", augment=True
        ),
    ),
}

_OTHERS: dict[tuple[str, str], Recipe] = {
    # Of the bundled weights.
    ("cifar10", "resnet20"): Recipe(
        "resnet20",
        TrainingSettings(
            epochs=30, batch_size=256, learning_rate=0.1, augment=True, channels_last=True
        ),
    ),
}


def changed_recipe(
    name: str, *, sigma: float, architecture: str | None = None, **changes: Any
) -> Recipe:
    """The recipe of a data set at a noise level, with the changes that are not None.

    Args:
        name: a key of `RECIPES`.
        sigma: noise added in training, in units of the inputs, zero or positive.
        architecture: a key of `ARCHITECTURES`; it may have a recipe of its own. None: as the data
            set's recipe has it.
        changes: attributes of `TrainingSettings`; None: as the recipe has it.

    Raises:
        ValueError: there is no such recipe, or a value is outside its range.
    """
    if name not in RECIPES:
        raise ValueError(f"no training recipe for {name!r}; there are: {', '.join(RECIPES)}")
    recipe = _OTHERS.get((name, architecture or ""), RECIPES[name])
    given = {key: value for key, value in changes.items() if value is not None}
    return replace(
        recipe,
        architecture=architecture or recipe.architecture,
        settings=replace(recipe.settings, sigma=sigma, **given),
    )
