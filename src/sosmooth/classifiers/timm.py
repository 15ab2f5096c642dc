"""Image classifiers of timm, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sosmooth._extras import needed
from sosmooth._spec_options import parse_options, split_options
from sosmooth.classifiers.loaded import LoadedClassifier
from sosmooth.classifiers.normalization import Normalization
from sosmooth.classifiers.weights import fill_fitting, read_weights, weights_sha256


def open_timm(spec: str) -> LoadedClassifier:
    """A network of timm for images in [0, 1]: `NAME+FILE`, or `NAME` with weights in the cache.

    The normalisation is that of the network's configuration. Its other steps, a resize and a crop,
    are left to the data set. Nothing is downloaded.

    Args:
        spec: `NAME`, `NAME+FILE` or `NAME+FILE?key=KEY`, the key as `fill_fitting` takes it.

    Raises:
        ModuleNotFoundError: timm is not installed, or torchvision, which timm needs.
        FileNotFoundError: no such file, or no weights in the cache.
        ValueError: timm knows no such network, the weights are of another network, or the
            configuration has no usable mean and std.
    """
    timm = needed("timm", extra="timm")
    place, options = split_options(spec)
    name, _, file = place.partition("+")
    try:
        network = timm.create_model(name, pretrained=False)
    except RuntimeError as error:
        raise ValueError(
            f"timm has no network {name!r} ({error}); timm.list_models() lists them"
        ) from error
    weights = Path(file) if file else _cached(name, network.pretrained_cfg)
    key = parse_options(options, {"key": "ema"}).get("key")
    fill_fitting(network, read_weights(weights)[0], str(weights), key)
    settings = {
        "architecture": name,
        "weights_sha256": weights_sha256(network),
        "training_sigma": None,
    }
    normalization = _normalization(name, network.pretrained_cfg)
    return LoadedClassifier(network, network.num_classes, settings, normalization)


def _normalization(name: str, found: dict[str, Any]) -> Normalization:
    values = []
    for key in ("mean", "std"):
        stated = found.get(key)
        each: list[Any] = [*stated] if isinstance(stated, list | tuple) else [stated]
        if not each or not all(isinstance(value, int | float) for value in each):
            raise ValueError(
                f"timm's configuration of {name} has no usable {key}: {stated!r}; load the network"
                " in package.module:factory"
            )
        values.append(tuple(map(float, each)))
    return Normalization(*values)


def _cached(name: str, found: dict[str, Any]) -> Path:
    hub = needed("huggingface_hub", extra="timm")
    place = found.get("hf_hub_id")
    path = hub.try_to_load_from_cache(place, "model.safetensors") if place else None
    if not isinstance(path, str):
        get = f"get them by hf download {place}" if place else "timm names none"
        raise FileNotFoundError(
            f"no weights of {name} in the cache; {get}, or write timm:{name}+FILE.safetensors"
        )
    return Path(path)
