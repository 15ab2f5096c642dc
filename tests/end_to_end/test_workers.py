"""Workers as processes.

The tallies are the same to the bit even if workers are killed. If they cannot continue, one line
says so.
"""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sharing import (
    INDICES,
    METHODS,
    SIGMA,
    Own,
    assert_same,
    sampled_by,
    sampled_here,
    sampling,
    setup_of,
)

from sosmooth import load_run
from sosmooth.cli import main
from sosmooth.datasets import load_dataset
from sosmooth.request import Smoothing
from sosmooth.sampler import Failed
from sosmooth.sampling.evaluator import ClassifierError
from sosmooth.sampling.execution import Execution
from sosmooth.workers.jobs import sample_by
from sosmooth.workers.pool import Pool, WorkersError
from sosmooth.workers.processes import ProcessWorkers
from sosmooth.workers.share import Refused, WholeInputs
from sosmooth.workers.worker import Worker

SPLIT = 8_000  # evaluations of a unit of work: fewer than one input takes


@pytest.fixture(scope="module")
def mnist7():
    """Two workers, their setup, and the inputs."""
    setup = setup_of("mnist7")
    with Pool(ProcessWorkers(setup, 2)) as pool:
        yield pool, setup, load_dataset("mnist7").get


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return Own(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def own_pool(own):
    """Two workers of the user's classifier; a killed worker is replaced."""
    with Pool(ProcessWorkers(own.setup, 2)) as pool:
        yield pool


@pytest.mark.parametrize("share_evaluations", [None, SPLIT], ids=["whole", "split"])
@pytest.mark.parametrize(
    "method",
    [*METHODS[:-1], *(f"{METHODS[-1]} from {axis}" for axis in ("gradient", "samples"))],
)
def test_the_same_to_the_bit(mnist7, method, share_evaluations):
    name, _, axis = method.partition(" from ")
    of = sampling(name, direction=axis or "auto")
    assert_same(
        sampled_by(*mnist7, INDICES, of, share_evaluations), sampled_here(*mnist7[1:], INDICES, of)
    )


def test_a_sum_over_parts_in_any_order(mnist7):
    """All of one input, by both workers."""
    of = sampling(n=60_000)
    assert_same(sampled_by(*mnist7, [17], of, SPLIT), sampled_here(*mnist7[1:], [17], of))


@pytest.mark.parametrize("rule", [{"radius": 0.1}, {"tolerance": 0.05}])
def test_the_same_to_the_bit_until_it_is_decided(mnist7, rule):
    of = sampling("dipole", **rule)
    assert_same(sampled_by(*mnist7, INDICES, of), sampled_here(*mnist7[1:], INDICES, of))


class WorkerHere:
    """A worker in this process, to which everything is sent as to another process."""

    size = 1

    def __init__(self, setup):
        self.worker = Worker(sent(setup))
        self.found = [(0, None, self.worker.start())]

    def send(self, worker, ticket, share):
        self.found.append((worker, ticket, sent(self.worker.answer(sent(share)))))

    def answers(self, timeout):
        found, self.found = self.found, []
        return found

    def close(self):
        pass


def sent(message):
    return pickle.loads(pickle.dumps(message))


def test_the_same_to_the_bit_with_exact_noise_in_another_precision():
    inputs = load_dataset("mnist7")
    setup, of = (
        setup_of("mnist7", lattice=inputs.lattice, execution=Execution("bfloat16")),
        sampling(n=12_000),
    )
    with Pool(WorkerHere(setup)) as pool:
        found = sampled_by(pool, setup, inputs.get, INDICES[:2], of, SPLIT)
    assert_same(found, sampled_here(setup, inputs.get, INDICES[:2], of))


def test_one_worker_finds_the_batch_size_for_all(mnist7):
    of = sampling("dipole", n=2000, batch_size=None)
    assert_same(
        sampled_by(*mnist7, INDICES, of),
        sampled_here(*mnist7[1:], INDICES, of._replace(batch_size=1000)),
    )


@pytest.mark.parametrize(
    "share_evaluations",
    [pytest.param(40_000, marks=pytest.mark.slow), SPLIT],
    ids=["whole", "split"],
)
def test_workers_that_are_killed_change_nothing(own, own_pool, share_evaluations):
    indices, of = [0, 2, 4, 5, 7], sampling()
    own.mood("killed")
    found = sampled_by(own_pool, own.setup, own.get, indices, of, share_evaluations)
    assert (own.folder / "first").exists()
    assert (own.folder / "second").exists()
    assert_same(found, own.honestly(indices, of))


STOPPED = (
    r"the worker of process \d+ has not answered for \S+ s \(inputs? .*4.*\): its unit of work goes"
    r" to another worker; check whether it is stopped, or what it waits for"
)


@pytest.mark.parametrize(
    ("number", "share_evaluations"),
    [pytest.param(1, 40_000, marks=pytest.mark.slow), (2, SPLIT)],
    ids=["whole", "split"],
)
def test_a_worker_that_is_stopped_is_not_waited_for(own, number, share_evaluations, monkeypatch):
    """If it is the only worker, another one starts."""
    monkeypatch.setattr("sosmooth.workers.processes._SECONDS_TO_END", 0.5)
    indices, of, lines = [0, 2, 4, 5, 7], sampling(), []
    own.mood("stopped")
    workers = ProcessWorkers(own.setup, number)
    with Pool(workers, patience=1.0, notice=lines.append) as pool:
        found = sampled_by(pool, own.setup, own.get, indices, of, share_evaluations)
    assert (own.folder / "first").exists()
    assert_same(found, own.honestly(indices, of))
    assert re.fullmatch(STOPPED, lines[0])


@pytest.mark.slow
def test_what_a_stopped_worker_answers_later_is_not_counted_again(own):
    """It continues while the others still work, and does its unit of work a second time."""
    indices, of, lines = [0, 2, 4, 5, 7], sampling(n=60_000), []
    own.mood("stopped for a while")
    with Pool(ProcessWorkers(own.setup, 2), patience=0.5, notice=lines.append) as pool:
        found = sampled_by(pool, own.setup, own.get, indices, of, SPLIT)
        deadline = time.monotonic() + 30
        while not (own.folder / "second").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        honestly = own.honestly(indices, of)
        # The same workers continue: a late result belongs to a call that is over.
        again = sampled_by(pool, own.setup, own.get, indices, of, SPLIT)
    assert lines
    assert_same(found, honestly)
    assert_same(again, honestly)


@pytest.mark.slow
def test_a_stopped_worker_takes_no_more_of_large_shares(own, monkeypatch):
    """More than a pipe can hold: the driver must not wait for a process that reads nothing."""
    monkeypatch.setattr("sosmooth.workers.processes._SECONDS_TO_END", 0.5)
    workers = ProcessWorkers(own.setup, 1)
    try:
        while not workers.answers(1.0):
            pass
        (process,) = [one.process for one in workers._processes.values()]
        os.kill(process.pid, signal.SIGSTOP)
        begun = time.monotonic()
        workers.send(0, 1, WholeInputs(np.zeros((64, 50_000), np.float32), [0], *sampling()))
        assert time.monotonic() - begun < 5
    finally:
        workers.close()


@pytest.mark.slow
def test_an_input_that_workers_die_of_is_named(own, own_pool):
    own.mood("deadly")
    with pytest.raises(
        WorkersError, match=r"3 workers ended while they sampled input 4 \(the last: .*SIGKILL\)"
    ):
        sampled_by(own_pool, own.setup, own.get, [0, 4, 7], sampling(n=200), 100)


def test_a_classifier_that_fails_everywhere_names_the_input(own, own_pool):
    own.mood("raising")
    of = sampling(n=200)
    # The inputs share batches: the worker finds out which of them fails.
    with pytest.raises(
        ClassifierError, match=r"failed on every worker that tried .*input 6: .*out of ideas"
    ):
        sampled_by(own_pool, own.setup, own.get, list(range(8)), of, 10_000)
    # The same workers continue with other inputs.
    assert_same(sampled_by(own_pool, own.setup, own.get, [1, 2], of), own.honestly([1, 2], of))


def test_a_classifier_that_fails_once_is_tried_again(own, own_pool):
    own.mood("raising once")
    of = sampling("dipole", n=200)
    found = sampled_by(own_pool, own.setup, own.get, [1, 2], of, 300)
    assert (own.folder / "raised").exists()
    assert_same(found, own.honestly([1, 2], of))


@pytest.mark.parametrize("share_evaluations", [40_000, 150], ids=["whole", "split"])
def test_an_input_without_votes_leaves_the_others(own, own_pool, share_evaluations):
    own.mood("fragile")
    of = sampling(n=2000)
    found = sampled_by(own_pool, own.setup, own.get, [1, 6, 7], of, share_evaluations)
    assert isinstance(found[6], Failed)
    assert_same(found, sampled_here(own.setup, own.get, [1, 6, 7], of))


def test_memory_that_runs_out_in_a_worker(own, own_pool):
    own.mood("greedy")
    of = sampling(n=2000, batch_size=1024)
    found = sampled_by(own_pool, own.setup, own.get, [1, 2], of, 500)
    assert_same(found, own.honestly([1, 2], of))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"settings": {"source_sha256": "abc"}},
            "there and 'abc' where the run is written; the classifier .* must be the same",
        ),
        (
            {"versions": {"torch": "1.0"}},
            "torch is '.*' there and '1.0' where the run is written; install the same",
        ),
        ({"spec": "nothing.safetensors"}, "cannot be opened: .*nothing.safetensors"),
        ({"smoothing": Smoothing(SIGMA, 10, "abacus")}, "abacus"),
    ],
)
def test_a_worker_that_differs_takes_no_part(own, monkeypatch, changes, said):
    monkeypatch.chdir(own.folder)
    answer = Worker(replace(own.setup, **changes)).start()
    assert isinstance(answer, Refused)
    assert re.search(said, answer.message)
    assert "\n" not in answer.message


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def certify(*arguments):
    return [
        *(sys.executable, "-m", "sosmooth", "certify", "--model", "mnist7", "--data", "mnist7"),
        *("--sigma", "0.25", *map(str, arguments)),
    ]


def result_columns(run):
    return pq.read_table(Path(run) / "results.parquet").drop_columns(["seconds"])


def children(pid):
    """Processes whose parent is `pid`."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    return [
        int(child) for child, parent in map(str.split, listed.splitlines()) if int(parent) == pid
    ]


def living(pids):
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    return [
        int(pid)
        for pid, state in map(str.split, listed.splitlines())
        if int(pid) in pids and not state.startswith("Z")
    ]


ARGUMENTS = ("--indices", "0:1200:20", "--n", 8000, "--batch-size", 1000, "--method", "dipole")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run of one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    assert main(certify(*ARGUMENTS, "--out", folder)[3:]) == 0
    return result_columns(folder)


@pytest.mark.parametrize(
    "number",
    [pytest.param(one, marks=pytest.mark.slow) for one in (signal.SIGKILL, signal.SIGTERM)],
)
def test_the_driver_ends_and_is_started_again(tmp_path, alone, number):
    """It leaves no process behind, and the finished run equals that of one process."""
    command = certify(*ARGUMENTS, "--workers", 2, "--out", tmp_path / "run")
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (
        (tmp_path / "run/manifest.json").exists() and len(load_run(tmp_path / "run"))
    ):
        assert process.poll() is None
        time.sleep(0.01)
    workers = children(process.pid)
    assert len(workers) >= 2
    process.send_signal(number)
    assert process.wait(timeout=30) == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    assert 0 < len(load_run(tmp_path / "run")) < 60
    deadline = time.monotonic() + 10
    while (left := living(workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left
    others = ("--workers", 2) if number == signal.SIGTERM else ()
    assert main(certify(*ARGUMENTS, *others, "--out", tmp_path / "run")[3:]) == 0
    assert result_columns(tmp_path / "run").equals(alone)


def call_of(own):
    return [
        *("certify", "--model", own.spec, "--data", own.data, "--sigma", "0.25"),
        *("--n", "200", "--batch-size", "100"),
    ]


def lines_without_notes(err):
    return [line for line in err.splitlines() if "note: " not in line]


@pytest.mark.slow
def test_the_command_line_with_workers(tmp_path, own, capsys):
    own.mood("raising")
    assert main([*call_of(own), "--workers", "1", "--out", str(tmp_path / "run")]) == 1
    err = capsys.readouterr().err
    assert "input 6: " in err
    assert len(lines_without_notes(err)) == 1
    own.mood("honest")
    assert main([*call_of(own), "--workers", "2", "--out", str(tmp_path / "run"), "--json"]) == 0
    assert capsys.readouterr().out.startswith("{")
    assert load_run(tmp_path / "run").complete


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--workers", 0), "--workers must be at least 1; got 0"),
        (("--address", "here:1"), "give --engine='ray' with it"),
        (("--engine", "steam"), "steam"),
    ],
)
def test_wrong_options_of_workers_are_one_line(tmp_path, own, capsys, wrong, said):
    own.mood("honest")
    assert main([*call_of(own), *map(str, wrong), "--out", str(tmp_path / "no")]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(lines_without_notes(err)) == 1
    assert not (tmp_path / "no").exists()


def test_inputs_are_read_as_they_are_needed(mnist7):
    """Memory does not depend on the number of inputs."""
    pool, _, get = mnist7
    read = []

    def reading(indices):
        read.extend(indices)
        return get(indices)

    samples = sample_by(
        pool,
        reading,
        range(100),
        sampling("dipole", n=500).request,
        Smoothing(0.25, 10),
        batch_size=1000,
        progress=print,
        share_evaluations=1000,
    )
    for found, _ in enumerate(samples, 1):
        assert len(read) <= found + 12
    assert sorted(read) == list(range(100))
