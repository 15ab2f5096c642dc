"""The work of one process for each input: the certificate, and the stored row.

It is the same whether this process or others draw the samples. Bytes are the growth from half of
the inputs to all of them, so that what a file holds only once does not count.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

import torch

from sosmooth import Certificates, SmoothedClassifier, load_classifier
from sosmooth.datasets import load_dataset
from sosmooth.methods import certify_tally
from sosmooth.runs import RunWriter

SIGMA, N, INPUTS = 0.25, 100_000, 100
METHODS = ("first_order", "second_order_dipole", "third_order_dipole")
COLUMNS = ("certificate, ms", "journal, ms", "log, bytes", "journal, bytes", "table, bytes")


def stored(found: Certificates, n: int, folder: Path) -> tuple[float, int, int, int]:
    """Journal the rows one by one.

    Returns the seconds, and the bytes of the journal's log, of the journal, and of the final table.
    """
    settings = {
        "method": found.method,
        "classes": found.classes,
        "sigma": SIGMA,
        "n": n,
        "n0": found.n0,
        "alpha": found.alpha,
        "seed": found.seed,
    }
    with RunWriter.open(folder, settings=settings, indices=found.input_index.tolist()) as writer:
        begun = time.perf_counter()
        for i in range(len(found)):
            writer.add(found[i : i + 1], [i % 10], [0.1])
        seconds = time.perf_counter() - begun
        log = (folder / "journal.sqlite-wal").stat().st_size
        with closing(sqlite3.connect(folder / "journal.sqlite")) as reader:
            # From the log into the journal, as happens every thousand pages.
            reader.execute("PRAGMA wal_checkpoint")
        journal = (folder / "journal.sqlite").stat().st_size
        writer.finish()
    return seconds, log, journal, (folder / "results.parquet").stat().st_size


def certified_again(found: Certificates) -> float:
    """Seconds of processor time to compute the certificates from their tallies, one by one."""
    begun = time.process_time()
    for i in range(len(found)):
        one = slice(i, i + 1)
        certify_tally(
            found.method,
            found.tally[one],
            selected=found.selected[one],
            selection_margin=found.selection_margin[one],
            index=found.input_index[one],
            sigma=SIGMA,
            alpha=found.alpha,
            n0=found.n0,
            seed=found.seed,
        )
    return time.process_time() - begun


def main(n: int = N, inputs: int = INPUTS) -> None:
    smoothed = SmoothedClassifier(load_classifier("mnist7", sigma=SIGMA), sigma=SIGMA)
    images = torch.as_tensor(load_dataset("mnist7").get(list(range(inputs))))
    print(f"7×7 MNIST, n = {n:,}, {inputs} inputs")
    print(f"{'method':20}" + "".join(f"{column:>16}" for column in COLUMNS))
    for method in METHODS:
        found = smoothed.certify(images, method=method, n=n)
        with tempfile.TemporaryDirectory() as folder:
            _, *half = stored(found[: inputs // 2], n, Path(folder) / "half")
            seconds, *whole = stored(found, n, Path(folder) / "all")
        times = (1e3 * certified_again(found) / inputs, 1e3 * seconds / inputs)
        sizes = (
            (all_ - part) / (inputs - inputs // 2) for all_, part in zip(whole, half, strict=True)
        )
        print(
            f"{method:20}"
            + "".join(f"{time:16.2f}" for time in times)
            + "".join(f"{size:16.0f}" for size in sizes)
        )
