"""What the rounding of a classifier and the float noise depend on besides the settings."""

from __future__ import annotations

from importlib import metadata

import torch


def sampling_environment(device: torch.device) -> dict[str, str | None]:
    """Versions and processor of this process, by name.

    The number of threads is not included. It may change the last bits of a sum, but so may the
    place of a point in a batch.

    Args:
        device: where the classifier runs.
    """
    gpu = None
    if device.type == "cuda":
        gpu = torch.cuda.get_device_name(device)
    elif device.type != "cpu":
        gpu = device.type
    return {
        "sosmooth": metadata.version("sosmooth"),
        "torch": torch.__version__.partition("+")[0],  # as workers compare it
        "CPU capability": torch.backends.cpu.get_cpu_capability(),
        "GPU": gpu,
    }
