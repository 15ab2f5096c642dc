"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file beside, sync, rename: a reader sees the whole old file or the whole new one.

    Raises:
        OSError: the file system refused; what was there before stays.
    """
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # Two processes that write the same file do not share the one beside it.
        write_in(folder, path.name, data, beside=f".{path.name}.{os.getpid()}.partial")
    finally:
        os.close(folder)


def write_in(folder: int, name: str, data: bytes, *, beside: str) -> None:
    """The same in an open folder, by way of the file `beside`."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        with open(os.open(beside, flags, 0o644, dir_fd=folder), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)  # makes the new name durable
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside, dir_fd=folder)
        raise
