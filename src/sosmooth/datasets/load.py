"""The one way from what a user writes to an input set.

Adding a data set: one file with `load(split) → InputSet`, and a row in `DATASETS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sosmooth._objects import is_object_spec
from sosmooth.datasets import factory, mnist7, npz
from sosmooth.datasets.inputs import InputSet

#: The data sets that have a name: split → inputs. Written `name` (the test split) or `name:split`.
DATASETS: dict[str, Callable[[str], InputSet]] = {
    "mnist7": mnist7.load,
}


def load_dataset(spec: str) -> InputSet:
    """The inputs that `spec` names.

    Args:
        spec: `mnist7`, `mnist7:train`; a `.npz` file; a folder of images; `package.module:factory` or `path/file.py:factory`.
    Returns:
        An input set, its values float32 in the units of sigma.
    Raises:
        FileNotFoundError: what it names is not there.
        ValueError: it names nothing that can be read, or what it names is broken.
    """
    name, _, split = spec.partition(":")
    if name in DATASETS:
        return DATASETS[name](split or "test")
    path = Path(spec)
    if path.suffix == ".npz":
        return npz.load(path)
    if path.is_dir():
        from sosmooth.datasets import image_folder  # Pillow

        return image_folder.load(path)
    if is_object_spec(spec):
        return factory.load(spec)
    if path.is_file():
        raise ValueError(f"cannot read the file {spec!r} as data; files must be .npz, with the arrays inputs and labels")
    raise FileNotFoundError(
        f"no data set {spec!r}; write {', '.join(DATASETS)}, the path of an .npz file or of a folder of images,"
        " package.module:factory or path/file.py:factory"
    )
