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
    from sosmooth.certificates.look_ahead import look_ahead_radius
    from sosmooth.certificates.region import Region, multiclass_radius
    from sosmooth.certificates.second_order import second_order_radius
    from sosmooth.certificates.second_order_dipole import second_order_dipole_radius
    from sosmooth.certificates.third_order import third_order_radius
    from sosmooth.certificates.third_order_dipole import third_order_dipole_radius
    from sosmooth.classifiers.denoised import Denoised
    from sosmooth.classifiers.from_numpy import from_numpy
    from sosmooth.classifiers.load import load_classifier
    from sosmooth.classifiers.one_step_diffusion import OneStepDiffusion
    from sosmooth.confidence.proportion import proportion_lower_bound
    from sosmooth.datasets.load import load_dataset
    from sosmooth.interchange.export import export_tsv
    from sosmooth.interchange.logs import import_log
    from sosmooth.measures import average_certified_radius, certified_accuracy
    from sosmooth.methods import METHODS
    from sosmooth.request import Request, Smoothing
    from sosmooth.results import Certificate, Certificates
    from sosmooth.runs.run import load_run
    from sosmooth.sampling.execution import Execution
    from sosmooth.smoothed import SmoothedClassifier
    from sosmooth.tasks.certify import certify_run
    from sosmooth.tasks.recertify import recertify
    from sosmooth.tasks.validate import validate_run

__version__ = "0.1.0"

#: The public names, and the modules that they are loaded from.
_HOMES = {
    "METHODS": "methods",
    "Certificate": "results",
    "Certificates": "results",
    "Denoised": "classifiers.denoised",
    "Execution": "sampling.execution",
    "OneStepDiffusion": "classifiers.one_step_diffusion",
    "Region": "certificates.region",
    "Request": "request",
    "SmoothedClassifier": "smoothed",
    "Smoothing": "request",
    "average_certified_radius": "measures",
    "certified_accuracy": "measures",
    "certify_run": "tasks.certify",
    "dipole_radius": "certificates.dipole",
    "export_tsv": "interchange.export",
    "first_order_radius": "certificates.first_order",
    "from_numpy": "classifiers.from_numpy",
    "import_log": "interchange.logs",
    "load_classifier": "classifiers.load",
    "load_dataset": "datasets.load",
    "load_run": "runs.run",
    "look_ahead_radius": "certificates.look_ahead",
    "multiclass_radius": "certificates.region",
    "proportion_lower_bound": "confidence.proportion",
    "recertify": "tasks.recertify",
    "second_order_dipole_radius": "certificates.second_order_dipole",
    "second_order_radius": "certificates.second_order",
    "third_order_dipole_radius": "certificates.third_order_dipole",
    "third_order_radius": "certificates.third_order",
    "validate_run": "tasks.validate",
}

__all__ = [
    "METHODS",
    "Certificate",
    "Certificates",
    "Denoised",
    "Execution",
    "OneStepDiffusion",
    "Region",
    "Request",
    "SmoothedClassifier",
    "Smoothing",
    "average_certified_radius",
    "certified_accuracy",
    "certify_run",
    "dipole_radius",
    "export_tsv",
    "first_order_radius",
    "from_numpy",
    "import_log",
    "load_classifier",
    "load_dataset",
    "load_run",
    "look_ahead_radius",
    "multiclass_radius",
    "proportion_lower_bound",
    "recertify",
    "second_order_dipole_radius",
    "second_order_radius",
    "third_order_dipole_radius",
    "third_order_radius",
    "validate_run",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'sosmooth' has no attribute {name!r}")
    value = getattr(import_module(f"sosmooth.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
