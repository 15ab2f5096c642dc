"""From what a user writes to a denoiser: `--denoiser SPEC`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sosmooth._extras import needed
from sosmooth._objects import is_object_spec, load_object
from sosmooth.classifiers.one_step_diffusion import PREDICTIONS, OneStepDiffusion
from sosmooth.classifiers.weights import fill_fitting, read_weights, weights_sha256

_DIFFUSERS = "diffusers:"


@dataclass(frozen=True)
class Denoiser:
    """A denoiser and what identifies it.

    Attributes:
        function: noisy inputs → clean ones.
        settings: JSON-able: the digests that identify it, and how it is used.
    """

    function: Callable[[Tensor], Tensor]
    settings: dict[str, Any]


def open_denoiser(spec: str, sigma: float | None) -> Denoiser:
    """The denoiser that `spec` names, on the CPU, in eval mode.

    Args:
        spec: one of the following.

            - `diffusers:FOLDER`: a diffusion model as the library diffusers saves it, with the
              folders `unet` and `scheduler`; used in one step, for images in [0, 1].
            - `package.module:name` or `path/file.py:name`, with `+WEIGHTS` to fill it. The name is
              a torch module, a function without arguments that returns one, or a class of one
              without arguments. This runs code of the file: use only what you trust.
        sigma: of the smoothing, in units of the inputs; a diffusion model needs it.

    Raises:
        FileNotFoundError: a file is not there.
        ModuleNotFoundError: diffusers is not installed.
        ValueError: `spec` names no denoiser that can be read.
    """
    if spec.startswith(_DIFFUSERS):
        return _open_diffusers(Path(spec.removeprefix(_DIFFUSERS)), spec, sigma)
    name, plus, weights = spec.partition("+")
    if not is_object_spec(name):
        raise ValueError(
            f"no denoiser {spec!r}; write {_DIFFUSERS}FOLDER, package.module:name or"
            " path/file.py:name, with +FILE for its weights"
        )
    found, settings = load_object(name)
    module = found if isinstance(found, nn.Module) else found()
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"{name} returned {type(module).__name__}; a denoiser is a torch module, or a function"
            " without arguments that returns one"
        )
    if plus:
        fill_fitting(module, read_weights(Path(weights))[0], weights)
    return Denoiser(
        module.cpu().eval(),
        {
            "architecture": type(module).__name__,
            "source_sha256": settings["source_sha256"],
            "weights_sha256": weights_sha256(module),
        },
    )


def runs_code(spec: str) -> bool:
    """Whether opening a denoiser runs code of a file or module.

    Args:
        spec: as for `open_denoiser`.
    """
    return not spec.startswith(_DIFFUSERS)


def _open_diffusers(folder: Path, spec: str, sigma: float | None) -> Denoiser:
    if sigma is None:
        raise ValueError(f"{spec} needs the sigma of the smoothing: it chooses the step")
    for part in ("unet", "scheduler"):
        if not (folder / part).is_dir():
            raise FileNotFoundError(
                f"{folder} has no folder {part!r}; give the folder that a pipeline of diffusers was"
                " saved to"
            )
    diffusers = needed("diffusers", extra="diffusers")
    options = {"local_files_only": True}
    try:
        network = diffusers.UNet2DModel.from_pretrained(
            folder / "unet", use_safetensors=True, low_cpu_mem_usage=False, **options
        )
        # The schedule is that of training, which all schedulers of diffusers share.
        scheduler = diffusers.DDPMScheduler.from_pretrained(folder / "scheduler", **options)
    except Exception as error:  # diffusers raises all kinds of exceptions for a broken file
        raise ValueError(f"{folder} holds no diffusion model that can be read: {error}") from error
    if network.config.class_embed_type or network.config.num_class_embeds:
        raise ValueError(f"{folder}: the model needs the class of each image; use one without")
    prediction = scheduler.config.prediction_type
    if prediction not in PREDICTIONS:
        raise ValueError(
            f"{folder}: the model predicts {prediction!r}; read are {', '.join(PREDICTIONS)}"
        )
    denoiser = OneStepDiffusion(
        network.cpu().eval(), scheduler.alphas_cumprod, sigma=sigma, prediction=prediction
    )
    settings = {
        "architecture": type(network).__name__,
        "weights_sha256": weights_sha256(network),
        "prediction": prediction,
        "step": denoiser.step,
    }
    return Denoiser(denoiser.eval(), settings)
