"""What the selection samples of one input say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Selection:
    """The selection samples of one input.

    Attributes:
        selected: the class with the most votes.
        first: its votes.
        second: the votes of the class that came second.
        invalid: evaluations that were no vote.
        why: what those were, in words.
    """

    selected: int
    first: int
    second: int
    invalid: int
    why: str = ""

    @property
    def margin(self) -> int:
        """Votes by which the class led."""
        return self.first - self.second
