"""Downloads of data sets, on request only; nothing is kept whose digest is wrong."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sosmooth._errors import text_of
from sosmooth.datasets import mnist

_CHUNK = 2**20
_TIMEOUT = 60.0


@dataclass(frozen=True)
class RemoteFile:
    """A file to download and to unpack.

    Attributes:
        url: its address, http or https.
        sha256: in hex; of the archive for `tar`, of the unpacked file for `gzip`.
        packing: `tar`: unpacked into the folder; `gzip`: unpacked to its name without `.gz`.
        limit: the most bytes that it may have.
    """

    url: str
    sha256: str
    packing: Literal["gzip", "tar"]
    limit: int

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


#: Data set → its files. MNIST's home page no longer offers them; this copy is the one of PyTorch.
SOURCES: dict[str, tuple[RemoteFile, ...]] = {
    "mnist": tuple(
        RemoteFile(
            f"https://ossci-datasets.s3.amazonaws.com/mnist/{name}.gz", sha256, "gzip", 20 * 2**20
        )
        for name, sha256 in mnist.FILES.items()
    ),
    "cifar10": (
        RemoteFile(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            "tar",
            200 * 2**20,
        ),
    ),
}


def download(name: str, out: Path, *, on_file: Callable[[RemoteFile], None] | None = None) -> Path:
    """Download a data set's files into a folder, which appears whole or not at all.

    Args:
        name: a key of `SOURCES`.
        out: a folder that does not exist yet, or is empty.
        on_file: called before each file.

    Returns:
        The folder, to be written as `name:FOLDER`.

    Raises:
        ValueError: unknown name, or bytes with another digest.
        FileExistsError: `out` is not empty.
        OSError: the server cannot be reached, or the file system refused.
    """
    if name not in SOURCES:
        raise ValueError(f"no data set {name!r} to download; there are: {', '.join(SOURCES)}")
    out = Path(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise FileExistsError(
            f"{out} exists and is not an empty folder; choose another, or use it as {name}:{out}"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as beside:
        made = Path(beside) / "made"
        made.mkdir()
        for remote in SOURCES[name]:
            if on_file is not None:
                on_file(remote)
            fetched = Path(beside) / remote.name
            _fetch(remote, fetched)
            _unpack(remote, fetched, made)
            fetched.unlink()
        made.replace(out)
    return out


def _fetch(remote: RemoteFile, path: Path) -> None:
    try:
        with (
            urllib.request.urlopen(remote.url, timeout=_TIMEOUT) as answer,
            path.open("wb") as file,
        ):
            received = 0
            while chunk := answer.read(_CHUNK):
                received += len(chunk)
                if received > remote.limit:
                    raise ValueError(
                        f"{remote.url} sends more than {remote.limit} bytes, so it is another file;"
                        " get the file elsewhere and give its folder"
                    )
                file.write(chunk)
    except urllib.error.HTTPError as error:
        raise OSError(
            f"{remote.url} answered {error.code} {error.reason}; get the file elsewhere and give"
            " its folder"
        ) from error
    except urllib.error.URLError as error:
        raise OSError(
            f"cannot reach {remote.url} ({error.reason}); get the file elsewhere and give its"
            " folder"
        ) from error
    except TimeoutError as error:
        raise OSError(
            f"{remote.url} stopped answering ({error}); try again, or get the file elsewhere"
        ) from error


def _unpack(remote: RemoteFile, path: Path, folder: Path) -> None:
    if remote.packing == "gzip":
        content = mnist.unpacked(path)
        _check_digest(remote, hashlib.sha256(content).hexdigest())
        (folder / remote.name.removesuffix(".gz")).write_bytes(content)
        return
    with path.open("rb") as file:
        _check_digest(remote, hashlib.file_digest(file, "sha256").hexdigest())
    try:
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise ValueError(
            f"{remote.url} cannot be unpacked safely ({text_of(error)}); get the file elsewhere"
        ) from error


def _check_digest(remote: RemoteFile, found: str) -> None:
    if found != remote.sha256:
        raise ValueError(
            f"{remote.url}: sha256 {found}, expected {remote.sha256}; the file was cut or changed"
            " on the way; try again"
        )
