"""Image classifiers of timm, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sosmooth._extras import needed
from sosmooth.classifiers.loaded import LoadedClassifier
from sosmooth.classifiers.normalization import Normalization
from sosmooth.classifiers.weights import fill, read_tensors, weights_sha256


def open_timm(spec: str) -> LoadedClassifier:
    """A network of timm for images in [0, 1]: `NAME+FILE`, or `NAME` with the weights that the Hugging Face cache holds.

    The normalisation is the one of the network's configuration. Nothing is downloaded.

    Raises:
        ModuleNotFoundError: no timm, or no torchvision, which it needs.
        FileNotFoundError: no such file, or no weights in the cache.
        ValueError: timm knows no such network, or the weights are of another one.
    """
    timm = needed("timm", extra="timm")
    name, _, file = spec.partition("+")
    try:
        network = timm.create_model(name, pretrained=False)
    except RuntimeError as error:
        raise ValueError(
            f"timm has no network {name!r} ({error}); timm.list_models() lists them"
        ) from error
    weights = Path(file) if file else _cached(name, network.pretrained_cfg)
    fill(network, read_tensors(weights)[0], str(weights))
    settings = {
        "architecture": name,
        "weights_sha256": weights_sha256(network),
        "training_sigma": None,
    }
    found = network.pretrained_cfg
    return LoadedClassifier(
        network,
        network.num_classes,
        settings,
        Normalization(tuple(found["mean"]), tuple(found["std"])),
    )


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
