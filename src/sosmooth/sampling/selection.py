"""What the selection samples of one input say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Selection:
    """The selection samples of one input.

    Attributes:
        selected: the class with the most votes.
        first: its votes.
        runner_up: the class that came second; −1: no other class was returned.
        second: its votes.
        invalid: evaluations that were no vote.
        why: what these evaluations returned, in words.
    """

    selected: int
    first: int
    runner_up: int
    second: int
    invalid: int
    why: str = ""

    @property
    def margin(self) -> int:
        """Votes by which the class led."""
        return self.first - self.second
