"""Which inputs of a data set a command looks at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sosmooth.cli._options import whole_number
from sosmooth.datasets.choice import spread


@dataclass(frozen=True)
class Choice:
    """The inputs that were asked for.

    Attributes:
        indices: in order.
        said: how they were chosen, in words; None where none was left out.
        first: those that earlier versions took, the first ones; None where they took the same.
    """

    indices: list[int]
    said: str | None = None
    first: list[int] | None = None

    def in_run(self, out: Path) -> Choice:
        """The same, or the first ones if the run at `out` holds these: it is then resumed.

        Args:
            out: the folder of the run, which need not exist.
        """
        from sosmooth.runs.files import RunError
        from sosmooth.runs.manifest import described, read_manifest

        if self.first is None:
            return self
        try:
            held = read_manifest(out).settings.get("indices")
        except RunError:  # no run, or a broken one, which is refused later
            return self
        if held != described(self.first):
            return self
        return replace(self, indices=self.first, said=None, first=None)


def choice(
    labels: NDArray[np.int64], named: list[int], limit: int | None, shuffle_seed: int | None
) -> Choice:
    """At most `limit` of the named inputs.

    Args:
        labels: true classes of all inputs, −1 = unknown, int64 (length,).
        named: the indices that are chosen from, in order.
        limit: at most so many; None: all.
        shuffle_seed: chooses those whose digest with this number is smallest, in ascending order.
            The choice is the same everywhere, and a smaller limit takes a part of it. None: spread
            over the classes.

    Raises:
        ValueError: a limit below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"--max must be at least 1; got {limit}")
    if limit is None or limit >= len(named):
        return Choice(named if shuffle_seed is None else sorted(named))
    said = f"{limit} of {len(named)}"
    if shuffle_seed is None:
        chosen = spread(labels, limit, named)
        return Choice(chosen, f"{said}, spread over the classes", first=named[:limit])
    chosen = sorted(named, key=lambda index: _digest(shuffle_seed, index))[:limit]
    return Choice(sorted(chosen), f"{said}, at random by --shuffle-seed {shuffle_seed}")


def named_indices(count: int, indices: str | None, skip: int) -> list[int]:
    """The inputs that are named, in order.

    Args:
        count: inputs in the data set.
        indices: comma-separated numbers and slices, as in `0,7,100:200,0:10000:10`; None: all.
        skip: of these, every `skip`-th, beginning with the first.

    Raises:
        ValueError: text that is no such list, an index outside the data set, or no input is left.
    """
    if skip < 1:
        raise ValueError(f"--skip must be at least 1; got {skip}")
    named: list[int] = []
    for part in (indices or f"0:{count}").split(","):
        numbers = _numbers(part)
        if len(numbers) == 1 and numbers[0] is not None:
            if not 0 <= numbers[0] < count:
                raise ValueError(
                    f"--indices: there is no input {numbers[0]}; the data has {count}, numbered"
                    " from 0"
                )
            named.append(numbers[0])
        elif len(numbers) in (2, 3) and (len(numbers) == 2 or numbers[2] != 0):
            named.extend(range(count)[slice(*numbers)])
        else:
            raise ValueError(
                f"--indices must be numbers and slices like 0,7,100:200,0:10000:10; got {part!r}"
            )
    named = list(dict.fromkeys(named))[::skip]
    if not named:
        raise ValueError(f"no input is left: the data has {count}, --indices {indices!r}")
    return named


def _numbers(part: str) -> Sequence[int | None]:
    """The numbers between colons; none where one of them is no whole number."""
    try:
        return [whole_number(one.strip()) if one.strip() else None for one in part.split(":")]
    except ValueError:
        return []


def _digest(seed: int, index: int) -> bytes:
    return hashlib.sha256(f"{seed} {index}".encode()).digest()
