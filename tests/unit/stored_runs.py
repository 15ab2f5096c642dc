"""Runs in memory, as the tests of the report use them."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sosmooth.confidence.bounds import Bounds
from sosmooth.methods import METHODS
from sosmooth.results import Certificates
from sosmooth.tally import Tally

SIGMA = 0.25


@dataclass(frozen=True)
class Manifest:
    settings: dict
    environment: dict
    dimension: int | None = 49
    class_names: list[str] | None = None


@dataclass(frozen=True)
class StoredRun:
    """A run in memory, with the columns and nulls of a stored one."""

    path: Path
    manifest: Manifest
    columns: dict
    missing: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __len__(self):
        return len(self.columns["index"])

    def __getitem__(self, column):
        return self.columns[column]

    def certificates(self):
        """The certificates of an imported log: bounds without counts."""
        columns = self.columns
        bounds = {
            name: columns[name]
            for name in ("p_lower", "c_s_lower", "c_n_lower")
            if np.all(np.isfinite(columns[name]))
        }
        error = {"error_upper": 1 - columns["p_lower"]} if "p_lower" in bounds else {}
        return Certificates(
            input_index=columns["index"],
            prediction=columns["prediction"],
            radius=columns["radius"],
            abstain_reason=columns["abstain_reason"],
            selected=columns["prediction"],
            selection_margin=np.full(len(self), -1),
            method=str(columns["method"][0]),
            sigma=float(columns["sigma"][0]),
            alpha=0.001,
            n0=100,
            seed=None,
            tally=Tally(METHODS[str(columns["method"][0])].design, columns["n"]),
            bounds=Bounds(n_used=columns["n"], **bounds, **error),
        )


def stored(
    name,
    method,
    radius,
    *,
    label=None,
    prediction=None,
    sigma=SIGMA,
    index=None,
    data="mnist7",
    **settings,
):
    radius = np.asarray(radius, float)
    images = len(radius)
    right = np.arange(images) % 10
    prediction = np.where(radius > 0, right if prediction is None else prediction, -1)
    columns = {
        "index": np.arange(images) if index is None else np.asarray(index),
        "label": right if label is None else np.full(images, label),
        "prediction": prediction,
        "radius": radius,
        "abstain_reason": np.where(radius > 0, "", "too_few_samples"),
        "sigma": np.full(images, sigma),
        "n0": np.full(images, 100),
        "n": np.full(images, 100_000),
        "alpha": np.full(images, 0.001),
        "method": np.full(images, method),
        "seed": np.full(images, -1),
        "seconds": np.full(images, np.nan),
        "p_lower": np.full(images, np.nan if method == "dipole" else 0.9),
        "c_s_lower": np.full(images, 0.7 if method == "dipole" else np.nan),
        "c_n_lower": np.full(images, 0.1 if method == "dipole" else np.nan),
    }
    return StoredRun(
        Path(name), Manifest({"data": data, **settings}, {"sosmooth": "0.1.0"}), columns
    )


def three_runs():
    rng = np.random.default_rng(5)
    base = np.round(rng.uniform(-0.1, 0.9, 60).clip(0), 3)
    return [
        stored("first", "first_order", base),
        stored("second", "second_order", base * rng.uniform(0.98, 1.0, 60)),
        stored("dipole", "dipole", base * rng.uniform(0.9, 1.1, 60)),
    ]
