"""Hugging Face models: image classifiers on images in [0, 1], text classifiers on embeddings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sosmooth._errors import text_of
from sosmooth._extras import needed, without_bars
from sosmooth.classifiers.image_processor import ImageProcessor, ProcessedImages
from sosmooth.classifiers.loaded import LoadedClassifier
from sosmooth.classifiers.normalization import Normalization
from sosmooth.classifiers.weights import weights_sha256


def open_hugging_face(place: str) -> LoadedClassifier:
    """The classifier in a folder or in the cache; nothing is downloaded, and no code of it is run.

    Images: any model that `AutoModelForImageClassification` reads, with everything that its
    `preprocessor_config.json` does to pixels. The data set does the resizing.
    Text (`…ForSequenceClassification`): a function of embeddings, as the data set `text:` makes
    them. Sigma and radii are in the space of embeddings, for the given tokens. They say nothing
    about other words.

    Args:
        place: a folder, or a name that the cache of Hugging Face holds.

    Raises:
        ModuleNotFoundError: transformers is not installed.
        FileNotFoundError: no such folder, and nothing in the cache.
        ValueError: another kind of model, no safetensors weights, weights that are missing or have
            other shapes than the configuration says, class names that are not numbered from 0, a
            preparation that cannot be expressed.
    """
    transformers = needed("transformers", extra="huggingface")
    options = {"local_files_only": True, "trust_remote_code": False}
    config = _read(place, lambda: transformers.AutoConfig.from_pretrained(place, **options))
    kind = _kind_of(place, config)
    with without_bars(transformers):
        model, info = _read(
            place,
            lambda: getattr(transformers, f"AutoModel{kind}").from_pretrained(
                place,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # `_check_weights` reports them in one line
                output_loading_info=True,
                **options,
            ),
        )
    _check_weights(place, model, info)
    classes = _class_names(place, config)
    classifier, normalization = _KINDS[kind](model, place)
    settings = {
        "architecture": type(model).__name__,
        "classes": classes,
        "weights_sha256": weights_sha256(model),
        "training_sigma": None,
    }
    # transformers trains a single label as a regression, unless it is declared as a yes or no.
    yes_or_no = config.problem_type == "multi_label_classification"
    return LoadedClassifier(
        classifier,
        config.num_labels,
        settings,
        normalization,
        single_score="margin" if yes_or_no else "unknown",
    )


def _read(place: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Exception as error:  # transformers raises all kinds of exceptions for a broken file
        reason = text_of(error)
        if Path(place).is_dir():
            raise ValueError(f"{place} holds no model that can be read: {reason}") from error
        if not isinstance(error, OSError | ValueError):
            raise
        raise FileNotFoundError(
            f"no folder {place!r}, and no such model in the cache; get it by hf download {place}"
            f" ({reason})"
        ) from error


def _kind_of(place: str, config: Any) -> str:
    """The kind of the model by the lists of transformers' own Auto… classes."""
    names = needed("transformers.models.auto.modeling_auto", extra="huggingface")
    lists = {
        "ForImageClassification": names.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
        "ForSequenceClassification": names.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    }
    for kind, known in lists.items():
        found = known.get(config.model_type, ())
        if {*([found] if isinstance(found, str) else found)} & {*(config.architectures or [])}:
            return kind
    raise ValueError(
        f"{place} is a model of kind {config.architectures}; allowed are"
        f" {' and '.join(f'…{name}' for name in _KINDS)}"
    )


def _check_weights(place: str, model: nn.Module, info: dict[str, Any]) -> None:
    """Refuse weights that leave a part of the model at its random starting values."""
    changed = sorted(tuple(each) for each in info["mismatched_keys"])
    last = _last_of(model)
    for name, stored, own in changed:
        if name.rpartition(".")[0] in last and stored[0] != own[0]:
            raise ValueError(
                f"{place}: config.json says {own[0]} classes, the weights have {stored[0]}"
                f" ({name}); give id2label or num_labels of {stored[0]} classes in config.json"
            )
    if changed:
        name, stored, own = changed[0]
        raise ValueError(
            f"{place}: {name} has the shape {tuple(stored)} in the weights and {tuple(own)} by"
            f" config.json ({len(changed) - 1} more differ); get both files of the same model"
        )
    if missing := sorted(info["missing_keys"]):
        raise ValueError(
            f"{place}: the weights lack {', '.join(missing[:3])} ({len(missing)} in all), which"
            " transformers would draw at random; get the weights of the classifier"
        )


def _last_of(model: nn.Module) -> set[str]:
    """The names of the layers that have as many outputs as there are classes."""
    classes = model.config.num_labels  # pyright: ignore[reportAttributeAccessIssue]
    return {
        name
        for name, module in model.named_modules()
        if getattr(module, "out_features", getattr(module, "out_channels", None)) == classes
    }


def _class_names(place: str, config: Any) -> list[str]:
    names = config.id2label
    if sorted(names) != list(range(config.num_labels)):
        first = ", ".join(map(str, sorted(names)[:5])) + ("…" if len(names) > 5 else "")
        raise ValueError(
            f"{place}: id2label in config.json numbers the classes {first}; the model's"
            f" {config.num_labels} classes are 0 to {config.num_labels - 1}: number them so"
        )
    return [str(names[number]) for number in range(config.num_labels)]


class _Embeddings(nn.Module):
    """Scores of embeddings (batch, tokens, hidden + 1).

    The last value is positive where there is a token.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, embeddings: Tensor) -> Tensor:
        mask = (embeddings[..., -1] > 0).long()
        return self.model(inputs_embeds=embeddings[..., :-1], attention_mask=mask).logits


def _of_images(model: nn.Module, place: str) -> tuple[nn.Module, Normalization | None]:
    side = getattr(model.config, "image_size", None)
    channels = getattr(model.config, "num_channels", 3)
    processor = ImageProcessor(place, channels, side if isinstance(side, int) else None)
    return ProcessedImages(model, processor), processor.normalization


def _of_text(model: nn.Module, place: str) -> tuple[nn.Module, None]:
    """Refuse a model whose result differs between a text and its embeddings.

    The reason is usually how the model finds the padding.
    """
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
            f"{place} ({type(model).__name__}) gives embeddings with padding another result than"
            " the text, so it cannot be certified in the space of embeddings; use another model"
        )
    return classifier, None


_KINDS: dict[str, Callable[[nn.Module, str], tuple[nn.Module, Normalization | None]]] = {
    "ForImageClassification": _of_images,
    "ForSequenceClassification": _of_text,
}
