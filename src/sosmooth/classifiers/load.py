"""The one way from what a user writes to a base classifier.

To add a kind, write one file with a function that returns a `LoadedClassifier`, and a row in
`_FILES` or `_PROGRAMS` (found by the suffix; a program names its outputs itself) or `_PREFIXES`
(`PREFIX:REST`). The rows are names, so that a package is imported only when it is needed.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from sosmooth._objects import is_object_spec, load_object
from sosmooth._spec_options import parse_options, split_options, with_option
from sosmooth.classifiers import denoisers
from sosmooth.classifiers.architectures import ARCHITECTURES, INPUT_SHAPES, build
from sosmooth.classifiers.denoised import Denoised
from sosmooth.classifiers.from_numpy import TensorsOrArrays
from sosmooth.classifiers.loaded import LoadedClassifier, remember_origin
from sosmooth.classifiers.normalization import Normalized, parse_normalization
from sosmooth.classifiers.outputs import OneOutput, TwoScores, Wanted, reading_note, threshold_of
from sosmooth.classifiers.scikit_learn import classifier_of, is_estimator
from sosmooth.classifiers.torch_files import TORCH_SUFFIXES
from sosmooth.classifiers.weights import (
    fill_fitting,
    load_weights,
    named_architecture,
    read_weights,
    weights_sha256,
)

#: By name: what `sosmooth train` takes to train another.
_BUNDLED = {
    "cifar10": "cifar10:FOLDER --architecture resnet20",
    "mnist7": "mnist7",
    "mnist7_pca10": "mnist7_pca10",
    "swiss_roll": "swiss_roll",
}
_FILES = {
    ".safetensors": ("load", "open_weights"),
    ".skops": ("scikit_learn", "open_skops"),
}
_PROGRAMS = {".onnx": ("onnx", "open_onnx"), ".pt2": ("exported", "open_exported")}
# Kinds of files that can run any code when they are opened.
_RUN_CODE = (".pt2",)
_PREFIXES = {
    "timm": ("timm", "open_timm"),
    "hf": ("hugging_face", "open_hugging_face"),
}


def load_classifier(
    spec: str,
    *,
    sigma: float | None = None,
    normalize: str | None = None,
    output: str | int | None = None,
    single_score: str | None = None,
    denoiser: str | None = None,
) -> Callable[[Tensor], Tensor]:
    """The base classifier that `spec` names, on the CPU.

    `FILE.py:name`, `package.module:name` and `FILE.pt2` run code of the file: use only what you
    trust.

    Args:
        spec: one of the following, with `?normalize=…&output=…&single_score=…&denoiser=…` behind it
            if needed.

            - `cifar10`, `mnist7`, `mnist7_pca10` or `swiss_roll`: bundled, trained with noise of
              `sigma`.
            - `FILE.safetensors`, as `sosmooth train` writes it.
            - `ARCHITECTURE+WEIGHTS`: one of `ARCHITECTURES`, filled from a `.safetensors` file or a
              checkpoint of `torch.save` (`.pt`, `.pth`, `.pth.tar`, `.ckpt`, `.bin`). If the file
              holds several networks that fit, `?key=ema` chooses one.
            - `FILE.onnx`, `FILE.pt2`, `FILE.skops`, `timm:NAME`, `hf:FOLDER`.
            - `package.module:name` or `path/file.py:name`, with `+WEIGHTS` to fill it. The name is
              a torch module, a fitted classifier of scikit-learn, a function without arguments that
              returns one of these or another classifier, or a classifier itself: a function of a
              tensor.
        sigma: the noise of training, or of smoothing; required for bundled classifiers and for a
            diffusion model as the denoiser, else not used.
        normalize: put in front of the classifier, so that sigma is in the units of the inputs:
            `imagenet`, `MEAN/STD` as in `0.5,0.5,0.5/0.2,0.2,0.2`, or `none`. None: what the spec
            says, or else the classifier's own files.
        output: which of several outputs classifies: its name, or its position from 0. None: what
            the spec says, or the output whose name or shape leaves no choice, if the file lists its
            outputs (`.onnx`, `.pt2`).
        single_score: how one score per input is read: `probability` (class 1 above 0.5) or `margin`
            (class 1 above 0). None: what the spec says, or the last operator of an `.onnx` file.
        denoiser: put in front of it all, as `open_denoiser` reads it: `diffusers:FOLDER`,
            `path/file.py:name+WEIGHTS`. None: what the spec says, or none.

    Returns:
        A torch module in eval mode, or a function of a tensor. Where they are known, it has the
        attributes `num_classes`, and `input_shape`: the shape of one input, with None for an axis
        of any length.

    Raises:
        FileNotFoundError: a file or module is not there.
        ModuleNotFoundError: a package is missing; the message says how to install it.
        ValueError: `spec` names nothing that can be read, no weights of that `sigma`, weights that
            do not fit.
    """
    opened = open_classifier(
        spec,
        sigma=sigma,
        normalize=normalize,
        output=output,
        single_score=single_score,
        denoiser=denoiser,
    )
    classifier = opened.classifier
    for name in ("num_classes", "input_shape"):
        known = getattr(opened, name)
        if known is not None and getattr(classifier, name, None) != known:
            setattr(classifier, name, known)
    module = isinstance(classifier, nn.Module)
    remember_origin(opened, weights_sha256(classifier) if module else None)
    return classifier


def with_architecture(spec: str, architecture: str | None) -> str:
    """The spec of weights for a network; unchanged where their file names this network itself.

    Args:
        spec: a weights file, with options or without.
        architecture: a key of `ARCHITECTURES`; None: the spec is complete.

    Raises:
        ValueError: no such architecture, or the spec names more than a weights file.
    """
    if architecture is None:
        return spec
    place, _ = split_options(spec)
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"unknown architecture {architecture!r}; there are: {', '.join(ARCHITECTURES)}"
        )
    if not place.endswith((".safetensors", *TORCH_SUFFIXES)) or "+" in place:
        raise ValueError(
            f"architecture='{architecture}' is for weights alone, a file of kind .safetensors,"
            f" {', '.join(TORCH_SUFFIXES)}; {spec} names its network itself"
        )
    return spec if named_architecture(Path(place)) == architecture else f"{architecture}+{spec}"


def runs_code(spec: str) -> bool:
    """Whether opening a classifier runs code of a file or module.

    Args:
        spec: as for `load_classifier`.
    """
    place, options = split_options(spec)
    name, _, _ = place.partition("+")
    prefix, colon, _ = place.partition(":")
    denoiser = parse_options(options, _OPTIONS).get("denoiser")
    if denoiser is not None and denoisers.runs_code(denoiser):
        return True
    if colon and prefix in _PREFIXES:
        return False
    return is_object_spec(name) or Path(place).suffix in _RUN_CODE


_OPTIONS = {
    "normalize": "imagenet",
    "output": "logits",
    "single_score": "probability",
    "key": "ema",
    "denoiser": "diffusers:FOLDER",
}


def open_classifier(
    spec: str,
    *,
    sigma: float | None = None,
    normalize: str | None = None,
    output: str | int | None = None,
    single_score: str | None = None,
    denoiser: str | None = None,
    num_classes: int | None = None,
) -> LoadedClassifier:
    """As `load_classifier`, with the number of classes and what identifies it.

    The setting `spec` includes everything that was asked for or chosen, so that it gives the same
    classifier again. The setting `normalization` says what is in front of the classifier.

    Args:
        spec: as for `load_classifier`.
        sigma: as for `load_classifier`.
        normalize: as for `load_classifier`.
        output: as for `load_classifier`.
        single_score: as for `load_classifier`.
        denoiser: as for `load_classifier`.
        num_classes: how many scores the output should have, which may tell which output it is.
    """
    asked = {
        "normalize": normalize,
        "output": output,
        "single_score": single_score,
        "denoiser": denoiser,
    }
    for name, value in asked.items():
        if value is not None:
            spec = with_option(spec, name, str(value))
    place, options = split_options(spec)
    asked = parse_options(options, _OPTIONS)
    normalize = asked.get("normalize")
    if "single_score" in asked:
        threshold_of(asked["single_score"])  # refuses another way
    wanted = Wanted(asked.get("output"), asked.get("single_score"), num_classes)
    opened = _opened(place, sigma, asked.get("key"), wanted)
    if isinstance(opened.classifier, nn.Module):
        opened.classifier.cpu().eval()
    opened = _with_outputs(opened, wanted, spec, is_program=Path(place).suffix in _PROGRAMS)
    normalization = opened.normalization if normalize is None else parse_normalization(normalize)
    settings = dict(opened.settings)
    if normalization is not None or opened.normalization is not None:
        settings["normalization"] = str(normalization or "none")
    classifier = (
        opened.classifier
        if normalization is None
        else Normalized(opened.classifier, normalization).eval()
    )
    if (front := asked.get("denoiser")) is not None:
        found = denoisers.open_denoiser(front, sigma)
        classifier = Denoised(found.function, classifier).eval()
        settings["denoiser"] = found.settings
    notes = opened.notes
    if (suffix := Path(place).suffix) in _RUN_CODE:
        notes = (
            f"{place} can run any code when it is opened, as all {suffix} files can; use only files"
            " that you trust",
            *notes,
        )
    return replace(
        opened, classifier=classifier, settings=settings, normalization=None, notes=notes
    )


def _with_outputs(
    opened: LoadedClassifier, wanted: Wanted, spec: str, *, is_program: bool
) -> LoadedClassifier:
    """With the output and the reading of a single score that the user or the file says."""
    classifier, settings, notes = opened.classifier, dict(opened.settings), opened.notes
    if not is_program and wanted.output is not None:
        classifier = OneOutput(classifier, wanted.output).eval()
        settings["output"] = wanted.output
    elif opened.notes:  # the file's output was chosen
        spec = with_option(spec, "output", settings["output"])
    reading = wanted.single_score
    if reading is None and is_program and opened.num_classes == 1 and opened.single_score:
        reading = opened.single_score
        spec, notes = with_option(spec, "single_score", reading), (*notes, reading_note(reading))
    if reading is not None:
        classifier = TwoScores(classifier, reading).eval()
        settings["single_score"] = reading
    return replace(
        opened,
        classifier=classifier,
        num_classes=2 if reading else None if opened.num_classes == 1 else opened.num_classes,
        settings={**settings, "spec": spec},
        notes=notes,
    )


def _opened(spec: str, sigma: float | None, key: str | None, wanted: Wanted) -> LoadedClassifier:
    name, plus, weights = spec.partition("+")
    prefix, colon, rest = spec.partition(":")
    if key is not None and not weights.endswith(TORCH_SUFFIXES):
        raise ValueError(
            f"key={key} chooses between the state dictionaries of a {', '.join(TORCH_SUFFIXES)}"
            f" file; {spec} names no such file"
        )
    if spec in _BUNDLED:
        return _open_bundled(spec, sigma)
    if colon and prefix in _PREFIXES:
        return _function(*_PREFIXES[prefix])(rest if key is None else f"{rest}?key={key}")
    if name in ARCHITECTURES:
        return _open_architecture(name, Path(weights) if weights else None, key)
    if is_object_spec(name):
        return _open_object(name, Path(weights) if plus else None, key)
    if (suffix := Path(spec).suffix) in _FILES:
        return _function(*_FILES[suffix])(Path(spec))
    if suffix in _PROGRAMS:
        return _function(*_PROGRAMS[suffix])(Path(spec), wanted)
    if spec.endswith(TORCH_SUFFIXES):
        raise ValueError(
            f"{spec} holds weights, or a pickled module, which is not read; name the network that"
            f" the weights belong to: FILE.py:factory+{spec}, or ARCHITECTURE+{spec} with one of"
            f" {', '.join(ARCHITECTURES)}"
        )
    if suffix in (".joblib", ".pkl", ".pickle"):
        raise ValueError(
            f"{spec} is a pickle: reading it runs code of the file, so it is not read; write the"
            " estimator with skops.io.dump(estimator, 'model.skops') and give that file, or, if you"
            " trust it, load it in your own function: FILE.py:factory"
        )
    if suffix == ".py":
        raise ValueError(
            f"which function of {spec} makes the classifier? write {spec}:NAME, and"
            f" {spec}:NAME+FILE for its weights"
        )
    raise ValueError(
        f"no classifier {spec!r}; write {', '.join(_BUNDLED)}, a file of kind"
        f" {', '.join([*_FILES, *_PROGRAMS])},"
        f" {', '.join(f'{each}:NAME' for each in _PREFIXES)}, ARCHITECTURE+FILE with one of"
        f" {', '.join(ARCHITECTURES)}, package.module:name or path/file.py:name"
    )


def _function(module: str, name: str) -> Callable[..., LoadedClassifier]:
    return getattr(import_module(f"sosmooth.classifiers.{module}"), name)


def bundled_sigmas(name: str) -> dict[float, Traversable]:
    """The noise levels that a bundled classifier was trained with, ascending, and their files.

    Args:
        name: of the classifier; for any other name the result is empty.
    """
    pattern = re.compile(re.escape(name) + r"_sigma_([\d.]+)\.safetensors")
    files = resources.files("sosmooth.classifiers").joinpath("weights").iterdir()
    return dict(
        sorted((float(match[1]), file) for file in files if (match := pattern.fullmatch(file.name)))
    )


def _open_bundled(name: str, sigma: float | None) -> LoadedClassifier:
    files = bundled_sigmas(name)
    known = ", ".join(f"{value:g}" for value in files)
    if sigma is None:
        raise ValueError(
            f"the classifier {name} needs the sigma it was trained with; there are: {known}"
        )
    if sigma not in files:
        raise ValueError(
            f"no bundled classifier {name} for sigma {sigma:g}; there are: {known}; train one with"
            f" sosmooth train {_BUNDLED[name]} --sigma {sigma:g} and give its file"
        )
    with resources.as_file(files[sigma]) as path:
        return open_weights(path)


def open_weights(path: Path) -> LoadedClassifier:
    """The network of a `.safetensors` file as `sosmooth train` writes it.

    Args:
        path: the file.
    """
    model, metadata = load_weights(path)
    settings = {
        "architecture": metadata["architecture"],
        "weights_sha256": weights_sha256(model),
        "training_sigma": metadata.get("sigma"),
    }
    return LoadedClassifier(
        model,
        int(metadata["num_classes"]),
        settings,
        input_shape=INPUT_SHAPES.get(metadata["architecture"]),
    )


def _open_architecture(name: str, weights: Path | None, key: str | None) -> LoadedClassifier:
    if weights is None:
        raise ValueError(
            f"the architecture {name} needs weights; write {name}+FILE, or train them with"
            " sosmooth train"
        )
    states, metadata = read_weights(weights)
    if metadata.get("architecture", name) != name:
        raise ValueError(
            f"{weights} holds weights of {metadata['architecture']}, not of {name}; write the file"
            " alone"
        )
    model = build(name)
    fill_fitting(model, states, str(weights), key)
    # The last linear layer gives the scores.
    num_classes = [
        module.out_features for module in model.modules() if isinstance(module, nn.Linear)
    ][-1]
    settings = {
        "architecture": name,
        "weights_sha256": weights_sha256(model),
        "training_sigma": metadata.get("sigma"),
    }
    return LoadedClassifier(model, num_classes, settings, input_shape=INPUT_SHAPES[name])


def _open_object(spec: str, weights: Path | None, key: str | None) -> LoadedClassifier:
    found, settings = load_object(spec)
    ready = isinstance(found, nn.Module) or is_estimator(found)
    made: Any = found if ready or not _is_factory(spec, found) else found()
    if is_estimator(made) and weights is None:
        opened = classifier_of(made)
        return replace(opened, settings=opened.settings | settings)
    if not callable(made):
        raise ValueError(
            f"{spec} returned {type(made).__name__}; it must return a torch module, a function of a"
            " tensor or a fitted classifier of scikit-learn"
        )
    classifier = cast(Callable[[Tensor], Tensor], made)
    if weights is not None:
        if not isinstance(classifier, nn.Module):
            raise ValueError(
                f"{spec} is {type(classifier).__name__}; only a torch module can be filled with"
                f" {weights}"
            )
        fill_fitting(classifier, read_weights(weights)[0], str(weights), key)
    num_classes = getattr(classifier, "num_classes", None)
    module = classifier if isinstance(classifier, nn.Module) else None
    settings |= {
        "architecture": None if module is None else type(module).__name__,
        "weights_sha256": None if module is None else weights_sha256(module),
        "training_sigma": None,
    }
    return LoadedClassifier(
        TensorsOrArrays(classifier) if module is None else module,
        num_classes if isinstance(num_classes, int) else None,
        settings,
    )


def _is_factory(spec: str, found: Any) -> bool:
    """Whether it can be called without arguments; a classifier needs its input."""
    if not callable(found):
        raise ValueError(
            f"{spec} is {type(found).__name__}; it must be a torch module, a function that makes"
            " one, or a classifier"
        )
    try:
        inspect.signature(found).bind()
    except TypeError:
        if inspect.isclass(found):
            raise ValueError(
                f"{spec} is a class that needs arguments; name a function without arguments that"
                " makes one"
            ) from None
        return False
    except ValueError:  # built-in functions without a signature: no factory that a user wrote
        return False
    return True
