"""The state of a training between two epochs, as tensors by name."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def training_state(
    epoch: int,
    model: nn.Module,
    optimizer: torch.optim.SGD,
    order: torch.Generator,
    noise: torch.Generator,
) -> dict[str, Tensor]:
    """All that a training needs to continue after an epoch.

    Args:
        epoch: the number of epochs done.
        model: its weights.
        optimizer: its momentum.
        order: the generator of the order of the inputs.
        noise: the generator of crops and noise.

    Returns:
        Copies on the CPU, by name, as `restore` takes them.
    """
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


def restore(
    state: Mapping[str, Tensor],
    model: nn.Module,
    optimizer: torch.optim.SGD,
    order: torch.Generator,
    noise: torch.Generator,
) -> int:
    """Put everything back to the state of `training_state`.

    Args:
        state: as `training_state` returned it.
        model: is filled in place.
        optimizer: of the model's parameters; its momentum is set.
        order: is set to its state then.
        noise: is set to its state then.

    Returns:
        The number of epochs done.

    Raises:
        ValueError: the state is of another network.
    """
    own = model.state_dict()
    names = {f"model.{name}" for name in own} | {
        f"momentum.{name}" for name, _ in model.named_parameters()
    }
    if not names | {"generator.order", "generator.noise", "epoch"} <= state.keys():
        raise ValueError(
            "the state is of a training with another network; resume with the same settings"
        )
    model.load_state_dict({name: state[f"model.{name}"] for name in own})
    for name, parameter in model.named_parameters():
        optimizer.state[parameter]["momentum_buffer"] = state[f"momentum.{name}"].to(
            parameter.device, copy=True
        )
    order.set_state(state["generator.order"])
    noise.set_state(state["generator.noise"])
    return int(state["epoch"])
