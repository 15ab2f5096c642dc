"""Texts as the embeddings of their tokens: what a Hugging Face text classifier is certified on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sosmooth._extras import needed, without_bars
from sosmooth._objects import file_sha256
from sosmooth._spec_options import parse_options
from sosmooth.datasets._csv import read_csv
from sosmooth.datasets.inputs import InputSet, read_lazily
from sosmooth.datasets.labels import numbered

#: The last value of a token: so far from 0 that no noise of a sensible sigma changes its sign.
_PRESENT = 1e4


def load(path: Path, options: str = "") -> InputSet:
    """The texts of a CSV file: float32 (batch, tokens, hidden + 1).

    A token is its embedding and one last value: positive where there is a token, negative where the
    text is filled up to `tokens`. Sigma and radii are in the space of these embeddings (before
    positions are added). A certificate holds for these tokens, moved continuously; it says nothing
    about other words. The last value is no part of the model, and noise does not change its sign. A
    perturbation of the embeddings alone is one of the whole, so the radius holds for it.

    Args:
        path: the file, with a column of texts and, if labels are known, one of integers or names.
        options: `model=PLACE`: a folder, or a model in the cache, required; `text=COLUMN` and
            `label=COLUMN` (default: `text` and `label`); `tokens=64`: longer texts are cut.

    Raises:
        ModuleNotFoundError: no transformers.
        FileNotFoundError: no such file or model.
        ValueError: no CSV file with texts, no model, no number of tokens.
    """
    allowed = {"model": "FOLDER", "text": "COLUMN", "label": "COLUMN", "tokens": "64"}
    asked = parse_options(options, allowed)
    texts, written = _read(path, asked.get("text", "text"), asked.get("label"))
    names, labels = numbered(written)
    if not asked.get("model"):
        raise ValueError(f"the embeddings of which model? write text:{path}?model=FOLDER")
    try:
        tokens = int(asked.get("tokens", "64"))
    except ValueError:
        tokens = 0
    if tokens < 1:
        raise ValueError(f"tokens must be a whole number of at least 1; got {asked['tokens']!r}")
    tokenizer, embed = _opened(asked["model"])

    def read(index: int) -> NDArray[np.float32]:
        import torch

        encoded = tokenizer(
            texts[index],
            max_length=tokens,
            truncation=True,
            padding="max_length",
            return_tensors="pt",
        )
        with torch.inference_mode():
            embedding = embed(encoded["input_ids"])[0].float().numpy()
        present = np.where(encoded["attention_mask"][0].numpy() > 0, _PRESENT, -_PRESENT)
        return np.concatenate([embedding, present[:, None]], axis=1, dtype=np.float32)

    settings: dict[str, Any] = {
        "sha256": file_sha256(path),
        "model": asked["model"],
        "tokens": tokens,
        "space": "embeddings of tokens",
    }
    if names is not None:
        settings["classes"] = list(names)
    found = read_lazily(
        str(path),
        read,
        labels,
        length=len(texts),
        num_classes=None if names is None else len(names),
        settings=settings,
    )
    return replace(found, texts=texts)


def _read(path: Path, text: str, label: str | None) -> tuple[list[str], Sequence[str | None]]:
    """The texts, and the labels as they are written."""
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {str(path)!r}; give the path of a CSV file with the columns text,label"
        )
    table = read_csv(path)
    lacking = [name for name in (text, label) if name is not None and name not in table.columns]
    if lacking:
        raise ValueError(
            f"{path}: the first line must name the columns {', '.join(lacking)}; it names"
            f" {', '.join(table.columns)}; choose columns by text=COLUMN&label=COLUMN"
        )
    texts, label = table.column(text), label or "label"
    return texts, table.column(label) if label in table.columns else [None] * len(texts)


def _opened(place: str) -> tuple[Any, Any]:
    """The tokenizer and the table of embeddings of a model."""
    transformers = needed("transformers", extra="huggingface")
    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, **options)
        with without_bars(transformers):
            model = transformers.AutoModelForSequenceClassification.from_pretrained(
                place, use_safetensors=True, **options
            )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FileNotFoundError(
            f"no tokenizer and model in {place!r}; give a folder, or get it by hf download"
            f" ({reason})"
        ) from error
    return tokenizer, model.eval().get_input_embeddings()
