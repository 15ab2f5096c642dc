"""Objects that users name: `package.module:attribute` and `path/file.py:attribute`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

_ATTRIBUTE = re.compile(r"[A-Za-z_]\w*")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def is_object_spec(spec: str) -> bool:
    """Whether `spec` is written as `package.module:attribute` or `path/file.py:attribute`."""
    source, _, attribute = spec.partition(":")
    return bool(_ATTRIBUTE.fullmatch(attribute)) and (
        source.endswith(".py") or bool(_MODULE.fullmatch(source))
    )


def is_module(name: str) -> bool:
    """Whether Python finds a module of that name, also in the working directory."""
    _search_also(Path.cwd())
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def load_object(spec: str) -> tuple[Any, dict[str, Any]]:
    """The object that `spec` names, imported by running its module.

    Args:
        spec: `package.module:attribute`, on Python's path or, last, in the working directory; or
            `path/file.py:attribute`.

    Returns:
        The object, and what identifies it: `spec` and `source_sha256`, the digest of the module's
        file (None if it has no file).

    Raises:
        FileNotFoundError: the file or module does not exist.
        ValueError: `spec` has another form, or the module has no such attribute.
    """
    if not is_object_spec(spec):
        raise ValueError(
            f"cannot read {spec!r}; write package.module:attribute or path/file.py:attribute"
        )
    source, _, attribute = spec.partition(":")
    module = _module_of_file(Path(source)) if source.endswith(".py") else _module_named(source)
    if not hasattr(module, attribute):
        public = [name for name in vars(module) if not name.startswith("_")]
        raise ValueError(
            f"{source} has no {attribute!r}; it has: {', '.join(public) or 'no public names'}"
        )
    file = getattr(module, "__file__", None)
    digest = file_sha256(Path(file)) if file else None
    return getattr(module, attribute), {"spec": spec, "source_sha256": digest}


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _module_named(name: str) -> ModuleType:
    _search_also(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module exists, but a module that it needs does not
        raise FileNotFoundError(
            f"no module {error.name!r}; install it, change to its folder, or write"
            " path/file.py:attribute"
        ) from None


def _module_of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {str(path)!r}; give the path of a Python file, path/file.py:attribute"
        )
    _search_also(path.resolve().parent)
    name = f"_sosmooth_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look up their module there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _search_also(folder: Path) -> None:
    """Put a folder at the end of Python's path, where it hides no installed package."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
