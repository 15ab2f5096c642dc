"""A time limit for one call, for code of others that may never return."""

from __future__ import annotations

import faulthandler
import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Seconds that an interrupted call has to return to Python; then the process ends.
GRACE = 10.0


class TimeUp(BaseException):
    """The call took too long. It is no `Exception`, so code that retries on errors lets it pass."""


def check_timeout(batch_timeout: float | None) -> None:
    """Refuse a value that is no time limit.

    Raises:
        ValueError: it is neither a positive number of seconds nor None.
    """
    if batch_timeout is not None and not (math.isfinite(batch_timeout) and batch_timeout > 0):
        raise ValueError(
            "batch_timeout must be a positive number of seconds, or None for no limit; got"
            f" {batch_timeout!r}"
        )


@contextmanager
def time_limit(seconds: float | None, line: str) -> Iterator[None]:
    """Raise `TimeUp` in the block after so many seconds.

    An alarm interrupts Python code, and other code when it returns to Python. Code that does not
    return can only be stopped together with the process: `GRACE` seconds later this writes `line`
    to standard error and ends the process with exit code 1. If the code holds Python's lock, so
    that no other thread can run, the process ends after another `GRACE` with a traceback instead.

    Args:
        seconds: positive; None: no limit.
        line: what to write if the process must end.

    Raises:
        RuntimeError: it is not the main thread, and no alarm arrives elsewhere.
    """
    if seconds is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "a time limit works only in the main thread of the process; leave out batch_timeout, or"
            " call from the main thread"
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
            inside = False  # a later alarm comes too late and is ignored
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        watchdog.cancel()
        signal.signal(signal.SIGALRM, before)
