"""What a classifier can do to a certification.

It can hang, change its mind about its output, or run out of memory. The user can interrupt.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sosmooth import SmoothedClassifier, load_run
from sosmooth.cli import main
from sosmooth.sampling.evaluator import ClassifierError
from sosmooth.sampling.time_limit import TimeUp, time_limit

OWN = '''
"""Each certifies the first two of three inputs, and then does what its name says."""
import ctypes, resource, time
import torch
from sosmooth.sampling import time_limit

time_limit.GRACE = 0.3

def scores(x):
    return torch.nn.functional.one_hot(torch.ones(len(x), dtype=torch.long), 3).float()

def third(do):
    """A classifier that calls `do` from the third estimation call of the third input on.

    Nine calls recognise the classifier, two select for all three inputs, and eight estimate for
    each input: 4096 pairs, in batches that no inputs share.
    """
    calls = iter(range(1000))
    return lambda x: do(x) if next(calls) >= 29 else scores(x)

def sleeps():
    return third(lambda x: time.sleep(60))

def swallows():
    """Continues after any exception."""
    def hang(x):
        while True:
            try:
                time.sleep(60)
            except Exception:
                pass
    return third(hang)

def never_returns():
    """In C code that lets other threads run."""
    libc = ctypes.CDLL(None)
    return third(lambda x: [libc.sleep(60) for _ in range(60)])

def stuck():
    """In C code that comes back from no signal."""
    libc = ctypes.CDLL(None)
    mutex = ctypes.create_string_buffer(256)
    libc.pthread_mutex_lock(mutex)
    return third(lambda x: libc.pthread_mutex_lock(mutex))

def keeps_the_lock():
    """The same, and no other thread of Python may run."""
    libc = ctypes.PyDLL(None)
    mutex = ctypes.create_string_buffer(256)
    libc.pthread_mutex_lock(mutex)
    return third(lambda x: libc.pthread_mutex_lock(mutex))

def more_classes():
    return third(lambda x: torch.zeros(len(x), 4))

def other_labels():
    return third(lambda x: torch.full((len(x), 3), torch.nan))

def memory():
    return third(lambda x: torch.empty(2**50))

def greedy():
    """Needs 1 MB an evaluation, of 800 that there are."""
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 8 * 10**8, used + 8 * 10**8))
    return lambda x: scores(x) + torch.ones(len(x), 25 * 10**4).sum() * 0

def slow():
    return lambda x: (time.sleep(0.05), scores(x))[1]
'''


@pytest.fixture
def arguments(tmp_path):
    """Arguments of a certification with one of the classifiers above."""
    (tmp_path / "own.py").write_text(OWN)
    inputs = np.repeat(np.arange(3, dtype=np.float32)[:, None], 5, axis=1)
    np.savez(tmp_path / "data.npz", inputs=inputs, labels=np.ones(3, dtype=int))

    def of(name: str, *more) -> list[str]:
        return [
            *("certify", "--model", f"{tmp_path / 'own.py'}:{name}"),
            *("--data", str(tmp_path / "data.npz"), "--sigma", "0.001", "--n", "8192"),
            *("--n0", "10", "--batch-size", "1024", "--num-classes", "3"),
            *("--out", str(tmp_path / "run"), *map(str, more)),
        ]

    return of


def in_a_process(arguments):
    # A shell starts its background jobs with SIGINT ignored, and a process inherits that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "sosmooth", *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def assert_one_line(err: str, said: str) -> None:
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    assert said in lines[0]


def assert_the_first_two_stand(run: Path) -> None:
    found = load_run(run)
    assert found["index"].tolist() == [0, 1]
    assert found["prediction"].tolist() == [1, 1]
    assert not found.complete


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sleeps", "did not return from a batch of shape 1024×5 within 0.3 seconds"),
        ("swallows", "did not return from a batch of shape 1024×5 within 0.3 seconds"),
        (
            "more_classes",
            "returned torch.float32 of shape (1024, 4); it must return floating scores (1024, 3)",
        ),
        ("memory", "memory ran out for a single evaluation"),
        ("other_labels", "input 2: the classifier returned NaN"),
    ],
)
def test_a_fault_ends_with_one_line_and_what_was_certified_stands(
    tmp_path, arguments, capsys, name, said
):
    begun = time.monotonic()
    assert main(arguments(name, "--timeout", "0.3")) == 1
    assert time.monotonic() - begun < 30
    assert_one_line(capsys.readouterr().err, said)
    assert_the_first_two_stand(tmp_path / "run")
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "stuck",
            "sosmooth: the classifier did not return from a batch of shape 1024×5 "
            "within 0.3 seconds",
        ),
        pytest.param("keeps_the_lock", "Timeout (0:00:00.9", marks=pytest.mark.slow),
    ],
)
def test_a_call_that_never_returns_to_python_ends_with_the_process(tmp_path, arguments, name, said):
    process = in_a_process(arguments(name, "--timeout", "0.3"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith(said)
    assert_the_first_two_stand(tmp_path / "run")


def test_a_hanging_first_evaluation_and_a_hanging_prediction(tmp_path, arguments, capsys):
    (tmp_path / "hanging.py").write_text(
        "import time\ndef f():\n    return lambda x: time.sleep(60)\n"
    )
    own = ["--model", str(tmp_path / "hanging.py:f"), *arguments("x")[3:7], "--timeout", "0.2"]
    for command in (
        ["certify", *own, "--out", str(tmp_path / "run")],
        ["predict", *own, "--n", "50", "--num-classes", "3"],
    ):
        assert main(command) == 1
        assert_one_line(capsys.readouterr().err, "did not return")
    assert main(["predict", *own[:-1], "-1", "--num-classes", "3"]) == 2
    assert_one_line(capsys.readouterr().err, "batch_timeout must be a positive number of seconds")


def test_within_the_limit_nothing_changes(tmp_path, arguments):
    smoothed = [
        SmoothedClassifier(lambda x: x[:, :2], sigma=0.5, num_classes=2, batch_timeout=limit)
        for limit in (None, 30.0)
    ]
    inputs = np.array([[1.0, 0.0, 0.0], [0.0, 0.2, 0.0]])
    plain, limited = (each.certify(inputs, n=500) for each in smoothed)
    assert plain.radius.tolist() == limited.radius.tolist()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_limit_is_for_the_main_thread():
    smoothed = SmoothedClassifier(
        lambda x: x[:, :2], sigma=0.5, num_classes=2, batch_timeout=1.0, batch_size=10
    )
    found: list[BaseException] = []

    def certify():
        try:
            smoothed.certify(np.zeros((1, 3)), n=20)
        except RuntimeError as error:
            found.append(error)

    thread = threading.Thread(target=certify)
    thread.start()
    thread.join()
    assert "main thread" in str(found[0])


def test_a_hang_raises_in_the_library():
    smoothed = SmoothedClassifier(
        lambda x: time.sleep(30), sigma=0.5, num_classes=2, batch_timeout=0.1
    )
    with pytest.raises(ClassifierError, match=r"within 0\.1 seconds"):
        smoothed.certify(np.zeros((1, 3)), n=20)


def test_an_alarm_of_somebody_else_is_put_back():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(1))
    try:
        with pytest.raises(TimeUp), time_limit(0.05, "x"):
            time.sleep(5)
        assert rung == []
        signal.raise_signal(signal.SIGALRM)
        assert rung == [1]
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.slow
def test_real_memory_that_runs_out_halves_the_batch(tmp_path, arguments):
    process = in_a_process(arguments("greedy", "--max", "1"))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    run = load_run(tmp_path / "run")
    assert run.complete
    assert run.manifest.batch_size < 1024


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_an_interruption(tmp_path, arguments, number):
    """Terminated in the middle, the run keeps what was certified; the same command resumes it."""
    process = in_a_process(arguments("slow"))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if (tmp_path / "run" / "manifest.json").exists() and len(load_run(tmp_path / "run")) >= 1:
            break
        time.sleep(0.002)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert_one_line(err, "inputs are stored in")
    stands = load_run(tmp_path / "run")
    assert 1 <= len(stands) < 3
    before = {row["index"]: row for row in stands.table.to_pylist()}
    assert main(arguments("slow")) == 0
    run = load_run(tmp_path / "run")
    assert run.complete
    # Not computed again: the seconds are the same.
    assert all(row == before.get(row["index"], row) for row in run.table.to_pylist())


def test_training_mode_after_eval_is_one_line(tmp_path, capsys):
    """The program refuses it before it writes anything."""
    (tmp_path / "own.py").write_text(
        "import torch\n\nclass Stubborn(torch.nn.Linear):\n"
        "    def train(self, mode=True):\n        self.training = True\n"
        "        return self\n\ndef stubborn():\n    return Stubborn(5, 3)\n"
    )
    np.savez(tmp_path / "data.npz", inputs=np.zeros((2, 5), dtype=np.float32))
    code = main(
        [
            *("certify", "--model", f"{tmp_path / 'own.py'}:stubborn"),
            *("--data", str(tmp_path / "data.npz"), "--sigma", "1", "--num-classes", "3"),
            *("--n", "20", "--out", str(tmp_path / "run")),
        ]
    )
    assert code == 1
    assert_one_line(capsys.readouterr().err, "still in training mode after eval()")
    assert not (tmp_path / "run").exists()
