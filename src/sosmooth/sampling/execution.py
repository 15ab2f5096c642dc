"""How the base classifier is called: precision, memory layout and compiler.

Each of them is part of what the classifier is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

#: The precisions to choose from, besides the classifier's own.
PRECISIONS = ("bfloat16", "float16")


@dataclass(frozen=True)
class Execution:
    """How a base classifier is called; the default calls it as it is given.

    Args:
        precision: "bfloat16" or "float16": the call runs under `torch.autocast`, which computes in
            this precision where that is safe; None: as given.
        channels_last: whether images and the module's weights are laid out with the channels
            innermost, which is faster for convolutions on tensor cores. Inputs must be (batch,
            channels, height, width).
        compile: whether `torch.compile` compiles it; on CUDA with CUDA graphs. Every batch then has
            the same shape: short batches are filled up, since each new shape would be compiled
            again.

    Raises:
        ValueError: the precision is not one of these.

    Guarantee:
        A classifier that is called in another way may be another function. So a certificate holds
        for the classifier called in this way, and it must be deployed in the same way.
    """

    precision: str | None = None
    channels_last: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        if self.precision is not None and self.precision not in PRECISIONS:
            allowed = ", ".join(map(repr, PRECISIONS))
            raise ValueError(
                f"precision must be one of {allowed}, or None for the classifier's own;"
                f" got {self.precision!r}"
            )

    def settings(self) -> dict[str, object]:
        """The settings that differ from the default, by name.

        So a run from before these settings existed equals one that left them at their defaults.
        """
        return {name: value for name, value in asdict(self).items() if value}


AS_GIVEN = Execution()
