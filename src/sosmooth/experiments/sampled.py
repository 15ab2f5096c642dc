"""The runs of a sampled figure: opened, checked, certified, and paired with first order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from sosmooth._progress import Advance
from sosmooth.classifiers.load import LoadedClassifier, open_classifier, with_architecture
from sosmooth.classifiers.weights import named_architecture
from sosmooth.datasets import InputSet, load_dataset
from sosmooth.experiments.paper import ALPHA, N0, SEEDS, SOURCES, Effort, Panel, chosen_images
from sosmooth.report.series import Pair, Series, on_shared_inputs, series_of
from sosmooth.request import Request, Smoothing
from sosmooth.runs import Run
from sosmooth.tasks.certify import certify_run
from sosmooth.tasks.validate import recomputed

#: `(evaluations, what) → context manager of what is told the evaluations just done`.
Progress = Callable[[int, str], AbstractContextManager[Advance]]

_CIFAR_SHAPE = (3, 32, 32)


@dataclass(frozen=True)
class Given:
    """Data and weights from the user.

    Attributes:
        data: an input spec; None: the bundled data.
        weights: a classifier spec, in which `{sigma}` stands for the sigma with two decimals; None:
            the bundled classifiers.
        architecture: of the weights, where it is not the figure's, or their file does not say it.
        device: where the classifiers run.
    """

    data: str | None = None
    weights: str | None = None
    architecture: str | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Opened:
    """Inputs and the classifier of each sigma, checked.

    Attributes:
        data: a key of `SOURCES`.
        inputs: the data set.
        classifiers: sigma → classifier.
    """

    data: str
    inputs: InputSet
    classifiers: dict[float, LoadedClassifier]


@dataclass(frozen=True)
class Result:
    """The runs of a panel.

    Attributes:
        panel: of the figure.
        pair: first order and the method, on separate samples.
        same_samples: first order and the method, both from the method's samples; None where these
            are pairs, as first order could use only one side of each.
        inputs: the data set.
    """

    panel: Panel
    pair: Pair
    same_samples: Pair | None
    inputs: InputSet


def open_all(panels: list[Panel], given: Given) -> Opened:
    """Open everything that the panels need before anything is computed or written.

    Args:
        panels: of one figure.
        given: data and weights.

    Raises:
        ValueError: data or weights are not bundled and were not given (the line says where to get
            them), or the weights have another architecture than the figure's or were trained with
            another sigma.
        FileNotFoundError: a file that was named does not exist.
    """
    keys = list(dict.fromkeys(panel.published.data for panel in panels))
    missing = [
        key for key in keys if not SOURCES[key].bundled and None in (given.data, given.weights)
    ]
    if missing:
        raise ValueError(_needed(missing, panels, given))
    try:
        inputs = load_dataset(given.data or keys[0])
    except FileNotFoundError as error:
        if SOURCES[keys[0]].bundled:
            raise
        raise FileNotFoundError(f"{error}; {_homes(keys, panels)}") from error
    key = keys[0] if len(keys) == 1 else _told_by_shape(inputs)
    sigmas = list(
        dict.fromkeys(panel.published.sigma for panel in panels if panel.published.data == key)
    )
    return Opened(
        key, inputs, {sigma: _open_classifier(key, sigma, given, panels) for sigma in sigmas}
    )


def certify_panels(
    panels: list[Panel], opened: Opened, out: Path, *, device: str, progress: Progress
) -> tuple[list[Result], list[str]]:
    """Certify the inputs of the panels of these data, and resume the runs in `out/runs`.

    First order and each method have separate noise, as published. Second order is compared with
    first order from the same samples as well.

    Args:
        panels: of one figure.
        opened: inputs and classifiers.
        out: folder of the reproduction.
        device: where the classifiers run.
        progress: of each run.

    Returns:
        A result for each panel of these data, and a line for each input that failed.

    Raises:
        RunError: a run there has other settings, or cannot be written.
    """
    results, failures = [], []
    runs: dict[tuple[float, Effort, str], Run] = {}

    def run(sigma: float, effort: Effort, method: str) -> Run:
        if (sigma, effort, method) not in runs:
            indices = chosen_images(len(opened.inputs), effort.images)
            request = Request(method, N0, effort.n, ALPHA, SEEDS[method], "top")
            what = (
                f"{opened.inputs.name}, sigma {sigma:g}, {len(indices)} inputs,"
                f" n = {effort.n:.0e}, {method}"
            )
            with progress(len(indices) * request.evaluations, what) as advance:
                found, failed = certify_run(
                    run_folder(out, opened.data, sigma, effort, method),
                    opened.classifiers[sigma],
                    opened.inputs,
                    request,
                    Smoothing(sigma, device=device),
                    indices=indices,
                    progress=advance,
                    resumed=lambda stored: advance.stored(stored * request.evaluations),
                )
            failures.extend(one.message for one in failed)
            runs[sigma, effort, method] = found
        return runs[sigma, effort, method]

    for panel in panels:
        row, effort = panel.published, panel.effort
        if row.data != opened.data:
            continue
        baseline, method = run(row.sigma, effort, "first_order"), run(row.sigma, effort, row.method)
        same = None
        if row.method == "second_order":
            same = _pair(_first_order_from(method), series_of(method))
        results.append(
            Result(panel, _pair(series_of(baseline), series_of(method)), same, opened.inputs)
        )
    return results, failures


def run_folder(out: Path, data: str, sigma: float, effort: Effort, method: str) -> Path:
    """The folder of a run; its name has everything that differs between runs.

    Args:
        out: folder of the reproduction.
        data: a key of `SOURCES`.
        sigma: noise level.
        effort: samples and images.
        method: a key of `METHODS`.
    """
    return out / "runs" / f"{data}_sigma_{sigma:g}_n_{effort.n}_images_{effort.images}_{method}"


def _first_order_from(run: Run) -> Series:
    """First order from the tallies of a run of independent samples."""
    found = recomputed(run.certificates(), "first_order", ALPHA, "top", "l2")
    certified = {name: getattr(found, name) for name in ("prediction", "radius", "abstain_reason")}
    return replace(series_of(run), method="first_order", **certified)


def _pair(baseline: Series, method: Series) -> Pair:
    pair = on_shared_inputs(baseline, method)
    if pair is None:
        raise ValueError(
            f"{baseline.folder} and {method.folder} have no images in common; remove both folders"
            " and run the same command again"
        )
    return pair


def _told_by_shape(inputs: InputSet) -> str:
    """The key of the data given for a figure of CIFAR-10 and ImageNet: their shape tells."""
    return "cifar10" if inputs.get([0]).shape[1:] == _CIFAR_SHAPE else "imagenet"


def _open_classifier(key: str, sigma: float, given: Given, panels: list[Panel]) -> LoadedClassifier:
    spec = (given.weights or key).replace("{sigma}", f"{sigma:.2f}")
    if given.weights is not None and named_architecture(Path(spec)) is None and "+" not in spec:
        spec = with_architecture(spec, given.architecture)
    try:
        opened = open_classifier(spec, sigma=sigma)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error}; {_homes([key], panels)}" if SOURCES[key].home else str(error)
        ) from error
    if given.weights is None:
        return opened
    expected = (
        SOURCES[key].architecture or open_classifier(key, sigma=sigma).settings["architecture"]
    )
    architecture = opened.settings.get("architecture")
    if architecture not in (expected, given.architecture):
        raise ValueError(
            f"{spec} has the architecture {architecture}, this figure {expected}; to compare them"
            f" nevertheless, give architecture={architecture!r}: the table will name it"
        )
    trained = opened.settings.get("training_sigma")
    if trained is not None and abs(float(trained) - sigma) > 1e-9:
        raise ValueError(
            f"{spec} was trained with sigma {float(trained):g}, but this panel has {sigma:g}; write"
            " {sigma} in place of the sigma in weights=…, as in weights_{sigma}.safetensors"
        )
    return opened


def _needed(keys: list[str], panels: list[Panel], given: Given) -> str:
    lacking = " and ".join(name for name in ("data", "weights") if getattr(given, name) is None)
    names = " or ".join(SOURCES[key].name for key in keys)
    arguments = " and ".join(f"{name}=…" for name in lacking.split(" and "))
    return f"no {lacking} of {names}: give {arguments}; {_homes(keys, panels)}"


def _homes(keys: list[str], panels: list[Panel]) -> str:
    """Where to get the data and weights."""
    homes = []
    for key in keys:
        sigmas = dict.fromkeys(
            f"{panel.published.sigma:g}" for panel in panels if panel.published.data == key
        )
        homes.append(
            f"{SOURCES[key].name}: {SOURCES[key].home.replace('{sigma}', '|'.join(sigmas))}"
        )
    return "; ".join(homes)
