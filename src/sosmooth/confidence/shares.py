"""The parts of alpha that a tally names.

They were decided from the selection samples, before the pairs were drawn, so the split depends on
no estimation sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def named_share(
    name: str, named: NDArray[np.float64] | float, drawn: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """What something gets of the alpha of each input, (batch,): 0 where it was not drawn.

    Args:
        name: of the field, for the message.
        named: what the tally says, (batch,), or one number for all inputs.
        drawn: where it was drawn, (batch,).

    Raises:
        ValueError: a share outside (0, 1).
    """
    share = np.where(drawn, named, 0.0)
    if np.any(drawn & ~((share > 0) & (share < 1))):
        raise ValueError(f"{name} must be in (0, 1); got {share[drawn].tolist()[:3]}")
    return share
