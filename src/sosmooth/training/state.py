"""All that changes while a network is trained, and copies of it as tensors by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sosmooth.sampling.inputs import usable
from sosmooth.training.settings import TrainingSettings


@dataclass(frozen=True)
class TrainingState:
    """What a training changes.

    Attributes:
        model: the network, on the training's device.
        optimizer: of its parameters, with their momentum.
        order: the generator of the order of the inputs, on the CPU.
        noise: the generator of crops and noise, on the training's device.
    """

    model: nn.Module
    optimizer: torch.optim.SGD
    order: torch.Generator
    noise: torch.Generator

    @classmethod
    def start(cls, model: nn.Module, settings: TrainingSettings) -> TrainingState:
        """The state before the first epoch; moves the model to the device.

        Args:
            model: the network to train.
            settings: of the training.

        Raises:
            ValueError: the device is not available.
        """
        device = usable(settings.device)
        model.to(device)
        if settings.channels_last:
            model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        optimizer = torch.optim.SGD(
            model.parameters(),
            settings.learning_rate,
            settings.momentum,
            weight_decay=settings.weight_decay,
            nesterov=True,
        )
        order = torch.Generator().manual_seed(settings.seed)
        noise = torch.Generator(device).manual_seed(settings.seed)
        return cls(model, optimizer, order, noise)

    def copy(self, epoch: int) -> dict[str, Tensor]:
        """All that a training needs to continue after an epoch.

        Args:
            epoch: the number of epochs done.

        Returns:
            Copies on the CPU, by name, as `restore` takes them.
        """
        state = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            state[f"momentum.{name}"] = self.optimizer.state[parameter]["momentum_buffer"]
        state |= {
            "generator.order": self.order.get_state(),
            "generator.noise": self.noise.get_state(),
            "epoch": torch.tensor(epoch),
        }
        return {
            name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, value in state.items()
        }

    def restore(self, state: Mapping[str, Tensor]) -> int:
        """Put everything back to the state of a copy, in place.

        Args:
            state: as `copy` returned it.

        Returns:
            The number of epochs done.

        Raises:
            ValueError: the state is of another network.
        """
        own = self.model.state_dict()
        names = {f"model.{name}" for name in own} | {
            f"momentum.{name}" for name, _ in self.model.named_parameters()
        }
        if not names | {"generator.order", "generator.noise", "epoch"} <= state.keys():
            raise ValueError(
                "the state is of a training with another network; resume with the same settings"
            )
        self.model.load_state_dict({name: state[f"model.{name}"] for name in own})
        for name, parameter in self.model.named_parameters():
            self.optimizer.state[parameter]["momentum_buffer"] = state[f"momentum.{name}"].to(
                parameter.device, copy=True
            )
        self.order.set_state(state["generator.order"])
        self.noise.set_state(state["generator.noise"])
        return int(state["epoch"])
