"""What the tests of all kinds of workers use together.

There are classifiers that misbehave, and the same inputs sampled here and by workers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sosmooth.classifiers.load import open_classifier
from sosmooth.datasets import load_dataset
from sosmooth.request import Request, Smoothing
from sosmooth.sampler import Sampled, Sampler
from sosmooth.workers.jobs import sample_by
from sosmooth.workers.worker import worker_setup

SIGMA = 0.25
INDICES = [3, 30, 1000]
#: One method for every kind of tally.
METHODS = (
    "first_order",
    "second_order",
    "dipole",
    "second_order_dipole",
    "third_order_dipole",
    "look_ahead",
)

#: Three classes of five features. The file `mood` in its folder says what the classifier does; an
#: event that happens only once leaves a file behind.
CLASSIFIER = """
import os
import signal
import subprocess
import time
from pathlib import Path

import torch

HERE = Path(__file__).parent
seen = 0


def scores(x):
    mean = x.flatten(1).mean(1)
    return torch.stack([mean, 0.5 - mean, mean * 0], 1)


def once(name):
    try:
        (HERE / name).open("x").close()
    except FileExistsError:
        return False
    return True


def moody():
    return classifier


def classifier(x):
    global seen
    seen += len(x)
    mood = (HERE / "mood").read_text()
    near = abs(float(x.mean()) - 0.4) < 0.05
    far = (x > 5).any(1, keepdim=True)
    if mood == "deadly" and near:
        os.kill(os.getpid(), signal.SIGKILL)
    if mood == "killed" and (
        (near and once("first"))
        or (seen > 30_000 and (HERE / "first").exists() and once("second"))
    ):
        os.kill(os.getpid(), signal.SIGKILL)
    if mood.startswith("stopped") and near and once("first"):
        if mood == "stopped for a while":
            command = f"sleep 2; kill -CONT {os.getpid()}; touch {HERE}/second"
            subprocess.Popen(["sh", "-c", command])
        os.kill(os.getpid(), signal.SIGSTOP)
    if (mood == "raising" and bool(far.any())) or (mood == "raising once" and once("raised")):
        raise RuntimeError("out of ideas")
    if mood == "slow":
        time.sleep(0.01)
    if mood == "greedy" and len(x) > 100:
        raise torch.OutOfMemoryError("CUDA out of memory")
    return torch.where(far, torch.nan, scores(x)) if mood == "fragile" else scores(x)
"""


class Own:
    """A user's classifier in a folder, and eight inputs for it; the seventh is far away."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "own.py").write_text(CLASSIFIER)
        inputs = np.linspace(0, 0.7, 8, dtype=np.float32)[:, None] * np.ones(5, dtype=np.float32)
        inputs[6] = 9.0
        np.savez(folder / "data.npz", inputs=inputs, labels=np.zeros(8, dtype=int))
        self.spec, self.data = f"{folder / 'own.py'}:moody", str(folder / "data.npz")
        self.mood("honest")
        self.setup = setup_of(self.spec, num_classes=3)
        self.get = load_dataset(self.data).get

    def mood(self, mood):
        """Set the mood from here on, as if nothing had happened yet."""
        (self.folder / "mood").write_text(mood)
        for name in ("first", "second", "raised"):
            (self.folder / name).unlink(missing_ok=True)

    def honestly(self, indices, of):
        """What this process finds if nothing happens."""
        (self.folder / "mood").write_text("honest")
        return sampled_here(self.setup, self.get, indices, of)


def setup_of(spec, sigma=SIGMA, num_classes=10, **changes):
    """What workers of this classifier need."""
    classifier = open_classifier(str(spec), sigma=sigma)
    return worker_setup(classifier, Smoothing(sigma, num_classes, **changes))


class Asked(NamedTuple):
    """A request, and the batch size of every worker."""

    request: Request
    batch_size: int | None


def sampling(method="second_order_dipole", *, batch_size=1000, **changes):
    """How to sample: three blocks of 4096 noise vectors for pairs."""
    return Asked(Request(**{"method": method, "n": 20_000, "seed": 5} | changes), batch_size)


def sampled_here(setup, get, indices, of):
    """What this process finds, by index."""
    classifier = open_classifier(setup.spec, sigma=setup.smoothing.sigma).classifier
    sampler = Sampler(classifier, setup.smoothing, batch_size=of.batch_size)
    found = sampler.sample(get(indices), of.request, indices=indices)
    return {one.index: one for one in found}


def sampled_by(pool, setup, get, indices, of, share_evaluations=None):
    """What the workers find, by index; the progress reports add up to all evaluations."""
    progress = []
    found = sample_by(
        pool,
        get,
        indices,
        of.request,
        setup.smoothing,
        batch_size=of.batch_size,
        progress=progress.append,
        share_evaluations=share_evaluations,
    )
    samples = [sampled for sampled, batch_size in found]
    assert len(samples) == len(indices)
    if all(isinstance(sampled, Sampled) for sampled in samples):
        assert sum(progress) == len(indices) * of.request.evaluations
    return {sampled.index: sampled for sampled in samples}


def assert_same(found, wanted):
    """Assert that both are equal to the bit, except for times."""
    assert found.keys() == wanted.keys()
    for index, here in wanted.items():
        there = found[index]
        assert type(there) is type(here)
        if not isinstance(here, Sampled):
            assert there == here
            continue
        assert (there.position, there.selected, there.selection_margin) == (
            here.position,
            here.selected,
            here.selection_margin,
        )
        mine, theirs = there.tally.arrays(), here.tally.arrays()
        assert mine.keys() == theirs.keys()
        for name, values in mine.items():
            np.testing.assert_array_equal(values, theirs[name], err_msg=name)
