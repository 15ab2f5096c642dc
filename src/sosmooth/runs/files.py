"""Files that are either whole or not there, and the lock that keeps a second writer out."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

LOCK = ".lock"


class RunError(ValueError):
    """A run that cannot be read or written: one line that says what came, what is allowed and how to mend it."""


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file beside, sync, rename: whoever looks sees the whole old file or the whole new one.

    Raises:
        RunError: the file system refused; what was there before stays.
    """
    beside = path.with_name(f".{path.name}.partial")
    try:
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def sync_folder(folder: Path) -> None:
    """Make renames and removals in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def claim_folder(folder: Path) -> int:
    """Create the folder if it is not there, and lock it: the descriptor of the lock, held until it is closed.

    Raises:
        RunError: something else is in the way, the folder cannot be written, or another process is writing it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise RunError(
                f"{folder} is being written by another process; wait for it, or write to another folder"
            ) from None
        raise unwritable(folder, error) from error
    return descriptor


def unwritable(path: Path, error: OSError) -> RunError:
    """The one line for a file system that refuses."""
    return RunError(
        f"{path} cannot be written ({error.strerror or error}); make room or give a folder that can be written"
    )


def unreadable(path: Path, error: Exception, expected: str) -> RunError:
    """The one line for a file that is not what it should be."""
    reason = (error.strerror if isinstance(error, OSError) else None) or (
        str(error).splitlines() or [type(error).__name__]
    )[0]
    return RunError(
        f"{path} cannot be read as {expected} ({reason[:200]}); it is damaged or of another program"
    )
