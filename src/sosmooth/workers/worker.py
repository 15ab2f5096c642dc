"""What happens in a worker, whatever process it lives in."""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING

import torch

from sosmooth.classifiers.load import open_classifier
from sosmooth.request import Smoothing
from sosmooth.sampler import Sampler
from sosmooth.sampling import lattice as exact_noise
from sosmooth.sampling import noise
from sosmooth.sampling.evaluator import ClassifierError
from sosmooth.workers.share import Executed, Raised, Ready, Refused, Share, WorkerSetup

if TYPE_CHECKING:
    from sosmooth.classifiers.load import LoadedClassifier


def worker_setup(classifier: LoadedClassifier, smoothing: Smoothing) -> WorkerSetup:
    """What workers need to open this classifier themselves."""
    return WorkerSetup(
        spec=classifier.settings["spec"],
        smoothing=smoothing,
        settings=classifier.settings,
        versions=_versions(),
        folder=os.getcwd(),
    )


class Worker:
    """Opens the classifier, then does units of work. Neither raises: the answer tells a failure."""

    def __init__(self, setup: WorkerSetup):
        self._setup = setup
        self._sampler: Sampler | None = None

    def start(self) -> Ready | Refused:
        """Open the classifier and see that it is the one of the run."""
        setup = self._setup
        try:
            torch.set_num_threads(1)  # there is a worker for each core
            with suppress(OSError):
                os.chdir(setup.folder)
            if differing := _differences(setup.versions, _versions()):
                return Refused(f"{differing}; install the same versions on every machine")
            classifier = open_classifier(setup.spec, sigma=setup.smoothing.sigma)
            if differing := _differences(setup.settings, classifier.settings):
                return Refused(
                    f"{differing}; the classifier {setup.spec} must be the same on every machine"
                )
            self._sampler = Sampler(classifier.classifier, setup.smoothing)
        except Exception as error:
            return Refused(f"the classifier {setup.spec} cannot be opened: {_one_line(error)}")
        return Ready()

    def answer(self, share: Share) -> Executed | Raised:
        """Execute a share."""
        if self._sampler is None:
            return Raised("the worker has no classifier", by_classifier=False)
        done, begun = 0, time.perf_counter()

        def progress(evaluations: int) -> None:
            nonlocal done
            done += evaluations

        # One worker found it for all; if memory ran out in this one, it keeps its smaller one.
        self._sampler.batch_size = self._sampler.batch_size or share.batch_size
        try:
            result = share.run(self._sampler, progress)
        except ClassifierError as error:
            return Raised(_one_line(error), by_classifier=True)
        except Exception as error:
            return Raised(f"{type(error).__name__}: {_one_line(error)}", by_classifier=False)
        return Executed(result, done, time.perf_counter() - begun)


def on_this_host(answer: Refused) -> Refused:
    """The refusal, with the name of the machine."""
    return replace(
        answer, message=f"a worker on {platform.node()} cannot take part: {answer.message}"
    )


def _versions() -> dict[str, str]:
    """What decides which noise is drawn; builds of one torch for other processors count as one."""
    return {
        "sosmooth": metadata.version("sosmooth"),
        "torch": torch.__version__.partition("+")[0],
        "noise": noise.SCHEME,
        "exact noise": exact_noise.SCHEME,
    }


def _differences(wanted: dict, found: dict) -> str:
    names = [name for name in wanted if wanted[name] != found.get(name)]
    return "; ".join(
        f"{name} is {found.get(name)!r} there and {wanted[name]!r} where the run is written"
        for name in names
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or "no message"
