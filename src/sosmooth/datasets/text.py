"""Texts as the embeddings of their tokens: what a Hugging Face text classifier is certified on."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sosmooth._extras import needed
from sosmooth._objects import file_sha256
from sosmooth._spec_options import parse_options
from sosmooth.datasets.inputs import InputSet, read_lazily
from sosmooth.datasets.labels import numbered

#: Stands in the place of the mask: so far from 0 that no noise of a sensible sigma changes its sign.
_PRESENT = 1e4


def load(path: Path, options: str = "") -> InputSet:
    """The texts of a CSV file: float32 (batch, tokens, hidden + 1), the embedding of each token, and a last value that is
    positive where there is a token and negative where the text is filled up to `tokens`.

    Sigma and radii count in the space of these embeddings (before positions are added). What is certified holds for these
    tokens, moved continuously; it says nothing of other words. The last value is no part of the model; noise does not change
    its sign, and a perturbation of the embeddings alone is one of the whole, so that the radius holds for it.

    Args:
        path: the file, with the columns `text` and, if labels are known, `label`: integers,
            or names.
        options: `model=PLACE`, a folder or a model that the cache holds, needed; `tokens=64`: longer texts are cut.
    Raises:
        ModuleNotFoundError: no transformers.
        FileNotFoundError: no such file or model.
        ValueError: no CSV file with texts, no model, no number of tokens.
    """
    asked = parse_options(options, {"model": "FOLDER", "tokens": "64"})
    texts, written = _read(path)
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
    return read_lazily(
        str(path),
        read,
        labels,
        length=len(texts),
        num_classes=None if names is None else len(names),
        settings=settings,
    )


def _read(path: Path) -> tuple[list[str], list[str | None]]:
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {str(path)!r}; give the path of a CSV file with the columns text,label"
        )
    texts, labels = [], []
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if "text" not in (rows.fieldnames or ()):
            raise ValueError(
                f"{path}: the first line must name the columns text,label; got {rows.fieldnames}"
            )
        for row in rows:
            if row["text"] is None:
                raise ValueError(f"{path}: line {rows.line_num} has no text; give it one")
            labels.append(row.get("label"))
            texts.append(row["text"])
    return texts, labels


def _opened(place: str) -> tuple[Any, Any]:
    """The tokenizer and the table of embeddings of a model."""
    transformers = needed("transformers", extra="huggingface")
    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, **options)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            place, use_safetensors=True, **options
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FileNotFoundError(
            f"no tokenizer and model in {place!r}; give a folder, or get it by hf download ({reason})"
        ) from error
    return tokenizer, model.eval().get_input_embeddings()
