"""How a network is trained with noise: the settings of a training, checked once."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from sosmooth._numbers import whole_number

Schedule = Literal["cosine", "step"]


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a network is trained with noise.

    Attributes:
        sigma: of the noise, in units of the inputs, zero or positive.
        epochs: passes over the training data, at least 1.
        batch_size: inputs a step, at least 1.
        learning_rate: at the start, positive.
        momentum: of SGD, in (0, 1).
        weight_decay: of SGD, zero or positive.
        schedule: of the learning rate: `cosine` to zero, or `step`: a tenth after each third.
        augment: whether the inputs are images that are cropped and flipped at random, before the
            noise is added.
        seed: of starting weights, order, crops and noise, in [0, 2^64).
        device: where to train: `cpu`, `cuda`, `cuda:1`, `mps`.
        amp: whether to compute in bfloat16 where that is safe (mixed precision), for speed on a
            GPU, and on a CPU that has instructions for it; on any other CPU it is far slower.
        channels_last: whether images and weights are laid out with the channels last, for speed;
            sums are then rounded in another order.

    Raises:
        ValueError: a value outside its range.
    """

    sigma: float = 0.0
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Schedule = "cosine"
    augment: bool = False
    seed: int = 0
    device: str = "cpu"
    amp: bool = False
    channels_last: bool = False

    def __post_init__(self) -> None:
        checked = {
            "epochs": whole_number("epochs", self.epochs, least=1),
            "batch_size": whole_number("batch_size", self.batch_size, least=1),
            "seed": whole_number("seed", self.seed, least=0, below=2**64),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise ValueError(
                f"sigma must be zero or positive, in units of the inputs; got {self.sigma!r}"
            )
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate must be positive; got {self.learning_rate!r}")
        if not 0 < self.momentum < 1:
            raise ValueError(f"momentum must be in (0, 1); got {self.momentum!r}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be zero or positive; got {self.weight_decay!r}")
        if self.schedule not in get_args(Schedule):
            known = ", ".join(get_args(Schedule))
            raise ValueError(f"unknown schedule {self.schedule!r}; there are: {known}")

    @property
    def recorded(self) -> dict[str, Any]:
        """What the weights file records, JSON-able: every setting but the device."""
        settings = asdict(self)
        del settings["device"]
        return settings

    @property
    def device_type(self) -> str:
        """The kind of device, as `cuda` for `cuda:1`: another kind gives other weights."""
        return self.device.partition(":")[0]
