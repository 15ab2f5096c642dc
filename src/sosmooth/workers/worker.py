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
from sosmooth.sampling import lattice as exact_noise
from sosmooth.sampling import noise
from sosmooth.sampling.evaluator import ClassifierError
from sosmooth.sampling.execution import AS_GIVEN, Execution
from sosmooth.smoothed import SmoothedClassifier
from sosmooth.workers.share import Executed, Raised, Ready, Refused, Share, WorkerSetup

if TYPE_CHECKING:
    from sosmooth.classifiers.load import LoadedClassifier


def worker_setup(
    classifier: LoadedClassifier,
    *,
    sigma: float,
    num_classes: int,
    device: str,
    lattice: float | None = None,
    execution: Execution = AS_GIVEN,
    batch_timeout: float | None = None,
) -> WorkerSetup:
    """What workers need to open this classifier themselves."""
    return WorkerSetup(
        spec=classifier.settings["spec"],
        sigma=sigma,
        num_classes=num_classes,
        device=device,
        settings=classifier.settings,
        versions=_versions(),
        folder=os.getcwd(),
        lattice=lattice,
        execution=execution,
        batch_timeout=batch_timeout,
    )


class Worker:
    """Opens the classifier, then executes shares. Neither raises: whoever asked is told."""

    def __init__(self, setup: WorkerSetup):
        self._setup = setup
        self._smoothed: SmoothedClassifier | None = None

    def start(self) -> Ready | Refused:
        """Open the classifier and see that it is the one of the run."""
        setup = self._setup
        try:
            torch.set_num_threads(
                1
            )  # a worker for each core: more threads would only be in each other's way
            with suppress(OSError):
                os.chdir(setup.folder)
            if differing := _differences(setup.versions, _versions()):
                return Refused(f"{differing}; install the same versions on every machine")
            classifier = open_classifier(setup.spec, sigma=setup.sigma)
            if differing := _differences(setup.settings, classifier.settings):
                return Refused(
                    f"{differing}; the classifier {setup.spec} must be the same on every machine"
                )
            self._smoothed = SmoothedClassifier(
                classifier.classifier,
                sigma=setup.sigma,
                num_classes=setup.num_classes,
                device=setup.device,
                lattice=setup.lattice,
                execution=setup.execution,
                batch_timeout=setup.batch_timeout,
            )
        except Exception as error:
            return Refused(f"the classifier {setup.spec} cannot be opened: {_one_line(error)}")
        return Ready()

    def answer(self, share: Share) -> Executed | Raised:
        """Execute a share."""
        if self._smoothed is None:
            return Raised("the worker has no classifier", by_classifier=False)
        done, begun = 0, time.perf_counter()

        def progress(evaluations: int) -> None:
            nonlocal done
            done += evaluations

        # Found by one worker for all of them; if memory ran out in this one, it keeps its smaller one.
        self._smoothed.batch_size = self._smoothed.batch_size or share.batch_size
        try:
            result = share.run(self._smoothed, progress)
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
    """What decides which noise is drawn; a build of torch for another kind of processor has the same version."""
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
