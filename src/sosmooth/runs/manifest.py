"""The manifest: a run's settings, where it was made, and whether it is complete.

It is a small JSON file beside the table.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from sosmooth.runs.files import RunError, unreadable
from sosmooth.runs.schema import SCHEMA_VERSION

NAME = "manifest.json"
#: Every run has these settings; others (model, data, …) are the caller's.
REQUIRED_SETTINGS = ("method", "sigma", "n", "n0", "alpha", "seed")
_MOST_INPUTS = 10**8  # a damaged manifest must not fill the memory


@dataclass(frozen=True)
class Manifest:
    """The manifest of a run.

    Attributes:
        settings: what was asked for; two sessions belong to one run only where these are equal.
            JSON values; holds `REQUIRED_SETTINGS`.
        environment: versions, host, device and threads of the latest session.
        inputs: number of inputs that the run is to hold.
        created: when the run was created, ISO 8601, UTC.
        indices: which inputs the run is to hold, as `described` writes them; None in runs of
            earlier versions.
        digests: of the classifier and the data, by name; part of the identity too.
        dimension: features of one input; None where unknown.
        num_classes: number of classes; None where unknown.
        class_names: names of the classes; None where unknown.
        choice: how the inputs were chosen, in words; None where none was left out, or unknown.
        batch_size: the one the classifier was evaluated in, kept by a resume.
        complete: whether every input is in the table.
        finished: when the run was completed, ISO 8601, UTC; None until then.
        derived_from: what it was computed from (a run or a log), with its digest; None where it was
            sampled.
        table_digest: of results.parquet as last written.
        answers: index → the classes of noisy copies of that input, by which the classifier is
            recognised (`tasks.recognition`); None where it was not asked.
        environments: what rounding may depend on, of all processes that sampled for the run, in
            order, each with the number of inputs that were certified when it began.
        schema_version: of the stored files.
    """

    settings: dict[str, Any]
    environment: dict[str, Any]
    inputs: int
    created: str
    indices: str | None = None
    digests: dict[str, str] = field(default_factory=dict)
    dimension: int | None = None
    num_classes: int | None = None
    class_names: list[str] | None = None
    choice: str | None = None
    batch_size: int | None = None
    complete: bool = False
    finished: str | None = None
    derived_from: dict[str, Any] | None = None
    table_digest: str | None = None
    answers: dict[str, str] | None = None
    environments: list[dict[str, Any]] = field(default_factory=list)
    schema_version: int = SCHEMA_VERSION

    @property
    def stops(self) -> bool:
        """Whether a rule could stop the drawing early: n is then the most drawn for an input."""
        return any(self.settings.get(name) is not None for name in ("radius", "tolerance"))

    def asked(self) -> Sequence[int] | None:
        """The indices of the inputs that the run is to hold; None where they are not recorded."""
        text = self.settings.get("indices") if self.indices is None else self.indices
        return _indices_or_none(text)

    def settings_digest(self) -> str:
        """SHA-256 of everything that determines a row's numbers; stored with the rows."""
        values = [self.identity(), self.dimension, self.num_classes]
        return "sha256:" + hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def identity(self) -> dict[str, Any]:
        """What two sessions must share to write one run, by name."""
        source = {
            f"derived_from.{name}": value
            for name, value in (self.derived_from or {}).items()
            if name != "path"
        }
        digests = {f"digest of {name}": value for name, value in self.digests.items()}
        return self.settings | digests | source


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the run in a folder.

    Raises:
        RunError: there is none, it is damaged, or another program or a later version wrote it.
    """
    return manifest_of(folder / NAME, manifest_file(folder))


def manifest_file(folder: Path) -> bytes:
    """The bytes of the manifest in a folder.

    Raises:
        RunError: there is none, or it cannot be read.
    """
    path = folder / NAME
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise RunError(
            f"{folder} is not a run: it has no {NAME}; give the folder that a run was written to"
        ) from None
    except OSError as error:
        raise unreadable(path, error, "the manifest of a run") from error


def manifest_of(path: Path, data: bytes) -> Manifest:
    """The manifest in the bytes of its file.

    Args:
        path: of the file, for the messages alone.
        data: its bytes.

    Raises:
        RunError: it is damaged, or another program or a later version wrote it.
    """
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise unreadable(path, error, "the manifest of a run") from error
    if not isinstance(values, dict) or not isinstance(values.get("schema_version"), int):
        raise RunError(
            f"{path} is not the manifest of a run: it has no schema_version; it is damaged, or"
            " another program wrote it"
        )
    if values["schema_version"] > SCHEMA_VERSION:
        raise RunError(
            f"{path} has schema {values['schema_version']}; this version reads {SCHEMA_VERSION}:"
            " upgrade sosmooth"
        )
    _check(path, values)
    return Manifest(**{f.name: values[f.name] for f in fields(Manifest) if f.name in values})


def _check(path: Path, values: dict[str, Any]) -> None:
    """Check the types of the values that the program computes with."""

    def whole(value: Any) -> bool:
        return isinstance(value, int) and 0 <= value < 2**63 and not isinstance(value, bool)

    def positive(value: Any) -> bool:
        is_real = isinstance(value, float) and 0 < value < math.inf
        return is_real or (whole(value) and value > 0)

    def probability(value: Any) -> bool:
        return isinstance(value, float) and 0 < value < 1

    def seed(value: Any) -> bool:
        return value is None or (isinstance(value, int) and 0 <= value < 2**64)

    settings = values.get("settings")
    wrong = [
        f.name
        for f in fields(Manifest)
        if f.default is MISSING and f.default_factory is MISSING and f.name not in values
    ]
    if not isinstance(settings, dict):
        wrong.append("settings")
    else:
        kinds = {
            "method": lambda value: isinstance(value, str),
            "sigma": positive,
            "alpha": probability,
            "n": whole,
            "n0": whole,
        }
        kinds |= {"seed": seed}
        wrong += [
            f"settings.{name}"
            for name, right in kinds.items()
            if name not in settings or not right(settings[name])
        ]
    kinds = {"environment": dict, "digests": dict, "complete": bool}
    wrong += [
        name
        for name, kind in kinds.items()
        if name in values and not isinstance(values[name], kind)
    ]
    optional = {"derived_from": dict, "table_digest": str, "indices": str, "choice": str}
    wrong += [
        name
        for name, kind in optional.items()
        if values.get(name) is not None and not isinstance(values[name], kind)
    ]
    answers, environments = values.get("answers"), values.get("environments", [])
    if not (answers is None or _are_answers(answers)):
        wrong.append("answers")
    if not (isinstance(environments, list) and all(isinstance(e, dict) for e in environments)):
        wrong.append("environments")
    if not _indices_agree(values.get("indices"), values.get("inputs"), settings):
        wrong.append("indices")
    names = values.get("class_names")
    if names is not None and not (
        isinstance(names, list) and all(isinstance(name, str) for name in names)
    ):
        wrong.append("class_names")
    counts = ("inputs", "dimension", "num_classes", "batch_size")
    wrong += [name for name in counts if values.get(name) is not None and not whole(values[name])]
    if wrong:
        raise RunError(
            f"{path} has no valid {', '.join(dict.fromkeys(wrong))}; it is damaged, or another"
            " program wrote it"
        )


def _are_answers(value: Any) -> bool:
    """Whether each input has a line of labels, and all lines have as many."""
    return (
        isinstance(value, dict)
        and all(re.fullmatch(r"\d{1,18}", index) for index in value)
        and all(isinstance(labels, str) for labels in value.values())
        and len({len(labels.split()) for labels in value.values()} | {0}) == 2
    )


def _indices_agree(text: Any, inputs: Any, settings: Any) -> bool:
    """Whether the indices can be read, are as many as `inputs`, and include the settings' ones."""
    if not isinstance(text, str):
        return True  # runs of earlier versions do not have them
    indices = _indices_or_none(text)
    if indices is None or len(indices) != inputs:
        return False
    asked = _indices_or_none(settings.get("indices")) if isinstance(settings, dict) else None
    return asked is None or bool(np.isin(asked, indices).all())


def manifest_bytes(manifest: Manifest) -> bytes:
    """The manifest as its file holds it."""
    text = json.dumps(asdict(manifest), indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def described(indices: list[int]) -> str:
    """Indices as the command line takes them: a slice where evenly spaced, else numbers."""
    steps = set(np.diff(indices).tolist())
    if len(steps) == 1 and (step := steps.pop()) > 0:
        return f"{indices[0]}:{indices[-1] + 1}:{step}"
    return ",".join(map(str, indices))


def indices_described_by(text: str) -> Sequence[int]:
    """The indices that `described` wrote."""
    if ":" in text:
        return range(*map(int, text.split(":")))
    return list(map(int, text.split(","))) if text else []


def _indices_or_none(text: Any) -> Sequence[int] | None:
    try:
        found = indices_described_by(text)
        return found if len(found) <= _MOST_INPUTS else None
    except (AttributeError, OverflowError, TypeError, ValueError):
        return None


def as_json(values: Any) -> Any:
    """The values as JSON gives them back, so that settings compare equal after being stored."""
    return json.loads(json.dumps(values, default=_plain))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def differences(stored: Manifest, asked: Manifest) -> list[str]:
    """Every setting in which two manifests differ, with both values."""
    # Earlier versions compared with one half only, drew no curvature, and did not say so.
    silent = {"classes": "top", "curvature": "off", "norm": "l2", "direction": "auto"}
    mine, theirs = (silent | _flat(one.identity()) for one in (stored, asked))
    names = sorted(mine.keys() | theirs.keys())
    return [
        f"{name} is {_short(mine.get(name))} there and {_short(theirs.get(name))} here"
        for name in names
        if mine.get(name) != theirs.get(name)
    ]


def hint(stored: Manifest, differing: Sequence[str]) -> str:
    """Another way to the run that was asked for, where only the comparison or the norm differs."""
    names = {one.split()[0] for one in differing}
    # Runs that do not name it come from versions that did not count every class.
    if "classes" in stored.settings and names and names <= {"classes", "norm"}:
        return (
            f"; certifying it again (recertify) with the other {' and '.join(sorted(names))}"
            " needs no samples"
        )
    return ""


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings by their full name, as in `model.spec`."""
    flat: dict[str, Any] = {}
    for name, value in identity.items():
        flat |= (
            {f"{name}.{part}": of for part, of in value.items()}
            if isinstance(value, Mapping)
            else {name: value}
        )
    return flat


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:80]}… ({len(value)} long)"


def describe_environment(device: str | None = None) -> dict[str, Any]:
    """Versions, host, device and threads of this process; torch only if it is loaded."""
    torch = sys.modules.get("torch")
    return {
        "sosmooth": metadata.version("sosmooth"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": metadata.version("scipy"),
        "pyarrow": metadata.version("pyarrow"),
        "torch": torch.__version__ if torch else None,
        "host": platform.node(),
        "platform": platform.platform(),
        "device": device,
        "threads": torch.get_num_threads() if torch else os.cpu_count(),
    }


def timestamp() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
