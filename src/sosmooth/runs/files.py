"""Errors of a run's files, and the lock that keeps a second writer out."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sosmooth._files import write_in

LOCK = ".lock"


class RunError(ValueError):
    """A run that cannot be read or written.

    One line says what came, what is allowed and how to fix it.
    """


class FolderChangedError(RunError):
    """Another program removed, replaced or changed the folder of a run while it was written."""


class FolderLock:
    """The right to write a folder, held until it is closed.

    A lock belongs to a file, not to a name: where the folder or the lock file was removed or
    replaced, another process may hold a lock of that name. So every write calls `check` first.
    """

    def __init__(self, folder: Path):
        """Create the folder if it does not exist, and lock it.

        Raises:
            RunError: the path is not a folder, the folder cannot be written, or another process is
                writing it.
        """
        self._folder = folder
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
                    f"{folder} is being written by another process; wait for it, or write to"
                    " another folder"
                ) from None
            raise unwritable(folder, error) from error
        self._descriptor: int | None = descriptor
        try:
            self.check()  # it may have been replaced between opening and locking it
        except RunError:
            self.close()
            raise

    @property
    def held(self) -> bool:
        """Whether the lock is still open."""
        return self._descriptor is not None

    def check(self) -> None:
        """Refuse to write more where the folder is no longer this writer's.

        Raises:
            RunError: the lock was closed, or its file is no longer the one at its path.
        """
        held = None if self._descriptor is None else identity(self._descriptor)
        if held is None or held != identity(self._folder / LOCK):
            raise replaced(self._folder)

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the folder: a reader sees the whole old file or the whole new one.

        The folder is the one that was locked, even if another one took its path since.

        Raises:
            RunError: the folder is no longer this writer's, or the file system refused.
        """
        self.check()
        try:
            folder = os.open(self._folder, os.O_RDONLY)
        except OSError as error:
            raise unwritable(self._folder / name, error) from error
        try:
            self.check()  # so the folder just opened is the locked one
            write_in(folder, name, data, beside=f".{name}.partial")
        except OSError as error:
            raise unwritable(self._folder / name, error) from error
        finally:
            os.close(folder)

    def close(self) -> None:
        """Release the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def identity(file: Path | int) -> tuple[int, int] | None:
    """Device and inode of the file at a path or open under a number; None where there is none."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def replaced(folder: Path) -> FolderChangedError:
    """The error for a folder that changed while it was written."""
    return FolderChangedError(
        f"{folder} was removed, replaced or changed by another program while it was written;"
        " nothing more is written to it: run the same command again, while no other program uses"
        " the folder"
    )


def unwritable(path: Path, error: OSError) -> RunError:
    """The error for a file that the system refused to write."""
    return RunError(
        f"{path} cannot be written ({error.strerror or error}); free some disk space, or give a"
        " folder that you can write to"
    )


def unreadable(path: Path, error: Exception, expected: str) -> RunError:
    """The error for a file that is not what it should be, or that the system refused to read."""
    if isinstance(error, OSError) and error.errno is not None:  # Arrow's own have no number
        return RunError(
            f"{path} cannot be read ({error.strerror or error}); check the disk and the permissions"
        )
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return RunError(
        f"{path} cannot be read as {expected} ({reason[:200]}); it is damaged, or another program"
        " wrote it"
    )
