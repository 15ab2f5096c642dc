"""How the base classifier is called: its precision, memory layout and compiler. Each is part of what the classifier is."""

from __future__ import annotations

from dataclasses import asdict, dataclass

#: What the classifier may compute in, where it is not as given.
PRECISIONS = ("bfloat16", "float16")


@dataclass(frozen=True)
class Execution:
    """How a base classifier is called; the default calls it as it is given.

    Args:
        precision: "bfloat16" or "float16": under `torch.autocast`, which computes in it where that is safe; None: as given.
        channels_last: whether images and the module's weights are laid out with the channels innermost, which convolutions on
            tensor cores want. Inputs must be (batch, channels, height, width).
        compile: whether `torch.compile` translates it; on CUDA with CUDA graphs. Every batch then has the same shape: a short
            one is filled up, since each other shape would be compiled again.
    Raises:
        ValueError: another precision.
    Guarantee:
        None of its own: a classifier called in another way may be another function, so certificates are about the classifier
        called in this one, and it must be deployed the same way.
    """

    precision: str | None = None
    channels_last: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        if self.precision is not None and self.precision not in PRECISIONS:
            allowed = ", ".join(map(repr, PRECISIONS))
            raise ValueError(
                f"precision must be one of {allowed}, or left out for the classifier's own; got {self.precision!r}"
            )

    def settings(self) -> dict[str, object]:
        """What was chosen, by name: a run of before there was a choice is one where nothing was chosen."""
        return {name: value for name, value in asdict(self).items() if value}


AS_GIVEN = Execution()
