"""Recognising the classifier of a run by its answers.

A run stores the classes that its classifier gave for noisy copies of a few of its inputs. A digest
covers only the files and weights that it was computed from; different classifiers rarely answer
alike on a few hundred points. This noise is drawn for the comparison alone: no certificate counts
it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sosmooth.runs.files import RunError
from sosmooth.runs.manifest import Manifest

if TYPE_CHECKING:
    from sosmooth.datasets.inputs import InputSet
    from sosmooth.runs.run import Run
    from sosmooth.runs.writer import RunWriter
    from sosmooth.sampler import Sampler
    from sosmooth.workers.share import Probe, Probed

# Many inputs with few copies tell more than few with many: data are often sorted by class.
_INPUTS = 16
_EVALUATIONS = 256
_NAMED = 5


def probe_of(manifest: Manifest, inputs: InputSet, indices: Sequence[int]) -> Probe:
    """The noisy inputs by which the classifier of a run is recognised.

    Args:
        manifest: of the run; if it stores answers, their inputs are taken again.
        inputs: those of the run.
        indices: of the run; if it stores no answers, evenly spaced ones are taken.
    """
    from sosmooth.workers.share import Probe

    if stored := manifest.answers:
        chosen = [int(index) for index in stored]
        copies = len(next(iter(stored.values())).split())
    else:
        places = np.linspace(0, len(indices) - 1, min(len(indices), _INPUTS)).round()
        chosen = [indices[int(place)] for place in places]
        copies = _EVALUATIONS // len(chosen)
    return Probe(inputs.get(chosen), chosen, copies, manifest.settings["seed"])


class Recognition:
    """Compares each process that samples with the classifier and the environments of a run.

    Args:
        writer: of the run. Answers and environments that are not stored yet are stored.
        probe: the noisy inputs.
        contributes: whether inputs are still to be certified.
        accept_other_environment: whether they may be certified in an environment that is new to the
            run.
        notice: called with what a user should know, in one line.
    """

    def __init__(
        self,
        writer: RunWriter,
        probe: Probe,
        *,
        contributes: bool,
        accept_other_environment: bool,
        notice: Callable[[str], None],
    ):
        self._writer, self._probe, self._contributes = writer, probe, contributes
        self._accept, self._notice = accept_other_environment, notice

    def __call__(self, found: Probed) -> None:
        """Accept the answers and the environment of a process, or refuse them.

        Args:
            found: its answers and its environment.

        Raises:
            RunError: it has another classifier, or another environment that is not accepted.
        """
        manifest = self._writer.manifest
        answers = _as_text(self._probe.indices, found.labels)
        elsewhere = _elsewhere(manifest, found.environment)
        if elsewhere and self._contributes and not self._accept:
            raise RunError(
                f"{self._writer.path} was certified so far with {elsewhere}: there the classifier"
                " may round differently; resume it there, or allow this environment with"
                " accept_other_environment=True"
            )
        check_answers(self._writer.path, manifest, answers, elsewhere)
        if manifest.answers is None and self._writer.done:
            from_here = "; its answers are stored from now on" if self._contributes else ""
            self._notice(
                f"{self._writer.path} was started by a version that stored no answers of the"
                " classifier, so it is not known whether this classifier certified its"
                f" {len(self._writer.done)} inputs{from_here}"
            )
        if not self._contributes:
            return
        environments = manifest.environments
        if elsewhere:
            self._notice(
                f"{self._writer.path} is resumed in another environment: so far {elsewhere}"
            )
        if elsewhere or not environments:
            begins = {"begins_after_inputs": len(self._writer.done)}
            environments = [*environments, found.environment | begins]
        self._writer.record(answers=answers, environments=environments)


def check_answers(
    path: Path, manifest: Manifest, answers: dict[str, str], elsewhere: str = ""
) -> None:
    """Refuse a classifier whose answers are not those that the run stores, if it stores any.

    Args:
        path: of the run, for the message.
        manifest: of the run.
        answers: of the classifier, as `Manifest.answers`.
        elsewhere: how the environment differs from the run's, in words; empty if it does not.

    Raises:
        RunError: they differ; the message says for which inputs.
    """
    stored = manifest.answers or answers
    differ = {
        index: sum(mine != theirs for mine, theirs in zip(now.split(), then.split(), strict=False))
        for index, then in stored.items()
        if (now := answers.get(index, "")) != then
    }
    if not differ:
        return
    copies = len(next(iter(stored.values())).split())
    named = [f"{index} ({count} of {copies} noisy copies)" for index, count in differ.items()]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    why = f"; or the environment makes the difference ({elsewhere})" if elsewhere else ""
    raise RunError(
        f"{path} was made with another classifier: this one answers otherwise for inputs"
        f" {', '.join(named[:_NAMED])}{more}; give the one of the run, or another folder{why}"
    )


def check_same_answers(run: Run, sampler: Sampler, inputs: InputSet) -> None:
    """Refuse a classifier that answers otherwise than that of a run.

    Checks only where the noise of the run can be drawn: on the same kind of device and with the
    same way of drawing.

    Args:
        run: the run.
        sampler: with the sigma, noise and execution of the run.
        inputs: those of the run.

    Raises:
        RunError: it answers otherwise.
    """
    from sosmooth.sampling import lattice, noise

    settings, manifest = run.manifest.settings, run.manifest
    if manifest.answers is None or settings.get("device") != sampler.device.type:
        return
    if settings.get("noise") not in (noise.SCHEME, lattice.SCHEME):
        return
    probe = probe_of(manifest, inputs, ())
    found = probe.run(sampler, lambda evaluations: None)
    check_answers(run.path, manifest, _as_text(probe.indices, found.labels))


def _as_text(indices: Sequence[int], labels: NDArray[np.int64]) -> dict[str, str]:
    """Labels by input, as the manifest holds them."""
    return {
        str(index): " ".join(map(str, row))
        for index, row in zip(indices, labels.tolist(), strict=True)
    }


def _elsewhere(manifest: Manifest, environment: dict[str, Any]) -> str:
    """How an environment differs from the latest of a run, in words; empty if the run has it."""
    known = [{name: one.get(name) for name in environment} for one in manifest.environments]
    if not known or environment in known:
        return ""
    return ", ".join(
        f"{name} {known[-1][name]} (here {value})"
        for name, value in environment.items()
        if known[-1][name] != value
    )
