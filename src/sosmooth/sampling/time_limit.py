"""A limit to how long one call may take, for calls into code of others that may never come back."""

from __future__ import annotations

import faulthandler
import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Seconds that a call has, after it was interrupted, to come back to Python; then the process ends.
GRACE = 10.0


class TimeUp(BaseException):
    """The call took too long. No `Exception`, so that code that retries on errors lets it through."""


def check_timeout(batch_timeout: float | None) -> None:
    """Refuse what is no time limit.

    Raises:
        ValueError: no positive number of seconds, nor None.
    """
    if batch_timeout is not None and not (math.isfinite(batch_timeout) and batch_timeout > 0):
        raise ValueError(
            "batch_timeout must be a positive number of seconds, or None for no limit; got"
            f" {batch_timeout!r}"
        )


@contextmanager
def time_limit(seconds: float | None, line: str) -> Iterator[None]:
    """Raise `TimeUp` in the block after so many seconds; None: no limit.

    An alarm interrupts Python code and what returns to it. Code that does not return cannot be stopped but with the process:
    `GRACE` seconds later `line` is written to standard error and the process ends with exit code 1; if not even a thread may
    run, because the code keeps Python's lock, it ends after another `GRACE`, with a traceback instead.

    Args:
        seconds: positive. line: what to say if the process must be ended.
    Raises:
        RuntimeError: outside the main thread, where no alarm arrives.
    """
    if seconds is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "a time limit needs the main thread of the process; call without one, or from the main thread"
        )
    inside = True

    def ring(number: int, frame: FrameType | None) -> None:
        if inside:
            raise TimeUp

    def end() -> None:
        os.write(2, f"{line}\n".encode())
        os._exit(1)

    watchdog = threading.Timer(seconds + GRACE, end)
    watchdog.daemon = True
    before = signal.signal(signal.SIGALRM, ring)
    try:
        try:
            watchdog.start()
            faulthandler.dump_traceback_later(seconds + 2 * GRACE, exit=True, file=2)
            signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
        finally:
            inside = False  # an alarm that rings from here on is late, and ignored
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        watchdog.cancel()
        signal.signal(signal.SIGALRM, before)
