"""sosmooth certifies classifiers against adversarial examples.

    inputs, base classifier
        │  sampling/      draws noise, runs the classifier
        ▼
      Tally               what was counted: stored
        │  confidence/    counts and failure probability → bounds
        ▼
      Bounds
        │  certificates/  bounds → extremal region → radius
        ▼
      Certificate  →  runs/ (stored, resumable)  →  report/ (looked at)

Public names are loaded when they are first used: `import sosmooth` imports neither torch nor SciPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sosmooth.certificates.dipole import dipole_radius
    from sosmooth.certificates.first_order import first_order_radius
    from sosmooth.certificates.region import Region, multiclass_radius
    from sosmooth.certificates.second_order import second_order_radius
    from sosmooth.certificates.second_order_dipole import second_order_dipole_radius
    from sosmooth.classifiers.from_numpy import from_numpy
    from sosmooth.classifiers.load import load_classifier
    from sosmooth.confidence.proportion import proportion_lower_bound
    from sosmooth.methods import METHODS
    from sosmooth.results import (
        Certificate,
        Certificates,
        average_certified_radius,
        certified_accuracy,
    )
    from sosmooth.runs import load_run
    from sosmooth.sampling.execution import Execution
    from sosmooth.smoothed import SmoothedClassifier

__version__ = "0.1.0"

_HOMES = {
    "SmoothedClassifier": "smoothed",
    "METHODS": "methods",
    "Certificate": "results",
    "Certificates": "results",
    "average_certified_radius": "results",
    "certified_accuracy": "results",
    "Execution": "sampling.execution",
    "Region": "certificates.region",
    "dipole_radius": "certificates.dipole",
    "first_order_radius": "certificates.first_order",
    "from_numpy": "classifiers.from_numpy",
    "load_classifier": "classifiers.load",
    "load_run": "runs",
    "multiclass_radius": "certificates.region",
    "proportion_lower_bound": "confidence.proportion",
    "second_order_dipole_radius": "certificates.second_order_dipole",
    "second_order_radius": "certificates.second_order",
}

__all__ = [
    "METHODS",
    "Certificate",
    "Certificates",
    "Execution",
    "Region",
    "SmoothedClassifier",
    "average_certified_radius",
    "certified_accuracy",
    "dipole_radius",
    "first_order_radius",
    "from_numpy",
    "load_classifier",
    "load_run",
    "multiclass_radius",
    "proportion_lower_bound",
    "second_order_dipole_radius",
    "second_order_radius",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'sosmooth' has no attribute {name!r}")
    value = getattr(import_module(f"sosmooth.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
