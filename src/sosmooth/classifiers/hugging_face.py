"""Hugging Face models: image classifiers on images in [0, 1], text classifiers on embeddings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sosmooth._extras import needed
from sosmooth.classifiers.loaded import LoadedClassifier
from sosmooth.classifiers.normalization import Normalization
from sosmooth.classifiers.weights import weights_sha256


def open_hugging_face(place: str) -> LoadedClassifier:
    """The classifier in a folder, or one of the Hub that the cache holds; nothing is downloaded, no code of the model is run.

    Images (`…ForImageClassification`): the normalisation is the one of its `preprocessor_config.json`.
    Text (`…ForSequenceClassification`): a function of embeddings as the data set `text:` makes them; sigma and radii count in
    the space of embeddings, for the given tokens. They say nothing of other words.

    Raises:
        ModuleNotFoundError: no transformers.
        FileNotFoundError: no such folder, nothing in the cache.
        ValueError: another kind of model, no safetensors weights, a preparation that is not understood.
    """
    transformers = needed("transformers", extra="huggingface")
    options = {"local_files_only": True, "trust_remote_code": False}
    config = _read(place, lambda: transformers.AutoConfig.from_pretrained(place, **options))
    kind = next(
        (kind for name in config.architectures or [] for kind in _KINDS if name.endswith(kind)),
        None,
    )
    if kind is None:
        raise ValueError(
            f"{place} is {config.architectures}; {' and '.join(f'…{name}' for name in _KINDS)} are read"
        )
    model = _read(
        place,
        lambda: getattr(transformers, f"AutoModel{kind}").from_pretrained(
            place, use_safetensors=True, **options
        ),
    )
    classifier, normalization = _KINDS[kind](model, place)
    settings = {
        "architecture": type(model).__name__,
        "classes": [config.id2label[number] for number in range(config.num_labels)],
        "weights_sha256": weights_sha256(model),
        "training_sigma": None,
    }
    return LoadedClassifier(classifier, config.num_labels, settings, normalization)


def _read(place: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        if Path(place).is_dir():
            raise ValueError(f"{place} is no model that can be read: {reason}") from error
        raise FileNotFoundError(
            f"no folder {place!r}, and the cache does not hold it; get it by hf download {place} ({reason})"
        ) from error


class _Images(nn.Module):
    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(pixel_values=images).logits


class _Embeddings(nn.Module):
    """Scores of embeddings (batch, tokens, hidden + 1), whose last value tells which tokens there are: positive."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, embeddings: Tensor) -> Tensor:
        mask = (embeddings[..., -1] > 0).long()
        return self.model(inputs_embeds=embeddings[..., :-1], attention_mask=mask).logits


def _of_images(model: nn.Module, place: str) -> tuple[nn.Module, Normalization | None]:
    transformers = needed("transformers.utils", extra="huggingface")
    path = transformers.cached_file(
        place,
        "preprocessor_config.json",
        local_files_only=True,
        _raise_exceptions_for_missing_entries=False,
    )
    if path is None:
        raise ValueError(
            f"{place} has no preprocessor_config.json, which tells its normalisation; add it"
        )
    found = json.loads(Path(path).read_text())
    scaled = found.get("do_rescale", True)
    if not (scaled and abs(found.get("rescale_factor", 1 / 255) * 255 - 1) < 1e-4):
        raise ValueError(
            f"{place} wants images that are not in [0, 1] (preprocessor_config.json); load it in package.module:factory"
        )
    if not found.get("do_normalize", True):
        return _Images(model), None
    return _Images(model), Normalization(tuple(found["image_mean"]), tuple(found["image_std"]))


def _of_text(model: nn.Module, place: str) -> tuple[nn.Module, None]:
    """Refuses a model that gives its embeddings another result than the text itself: the padding, mostly, is why."""
    classifier = _Embeddings(model).eval()
    embed: Any = model.get_input_embeddings()  # pyright: ignore[reportCallIssue]
    device = next(model.parameters()).device
    tokens = torch.arange(12, device=device).reshape(2, 6) % embed.num_embeddings
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2], device=device)
    with torch.inference_mode():
        expected = model(input_ids=tokens, attention_mask=mask).logits
        found = classifier(torch.cat([embed(tokens), mask[..., None]], dim=-1))
    if not torch.allclose(expected, found, rtol=1e-3, atol=1e-4):
        raise ValueError(
            f"{place} ({type(model).__name__}) gives embeddings with padding another result than the text: it cannot be certified"
            " in the space of embeddings"
        )
    return classifier, None


_KINDS: dict[str, Callable[[nn.Module, str], tuple[nn.Module, Normalization | None]]] = {
    "ForImageClassification": _of_images,
    "ForSequenceClassification": _of_text,
}
