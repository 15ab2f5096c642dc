"""Feed broken files by the million to the readers of the package.

    python scripts/fuzz.py [READER …] --runs 1000000

Each input is a whole file with some changes. It follows from (seed, reader, number) alone, so that
a crash can be reproduced. A crash is any exception except the one-line refusals, a warning, a
signal, or five seconds of processor time; its input is saved. Without names, all readers take part
in the runs (`share` in tests/fuzz/readers.py). With `--engine atheris` coverage guides the changes,
for one reader at a time (`pip install '.[fuzz]'`).
"""

from __future__ import annotations

import argparse
import hashlib
import mmap
import os
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "fuzz"))

_SECONDS = 5.0
_MEMORY = 4 * 2**30  # above what is in use before the first input is read
_MOST_CRASHES = 5  # saved inputs of one kind
# Exit codes of a child: an input crashed the reader; this program is broken.
_CRASHED, _BROKEN = 77, 78
_HEAD = struct.Struct("<qqqq")  # number of the input, its size, read so far, refused so far


def made_input(seeds: list[bytes], vary, seed: int, name: str, number: int) -> bytes:
    """Make the input of that number."""
    from readers import mutated

    rng = random.Random(f"{seed} {name} {number}")
    data = rng.choice(seeds)
    if vary is not None and rng.random() < 0.6:
        data = vary(data, rng)
        if rng.random() < 0.9:
            return data
    return mutated(data, seeds, rng)


def crash_of(reader, data: bytes, place: Path) -> tuple[bool, str | None]:
    """Whether the reader refused the input, and a traceback if it failed in another way."""
    from readers import REFUSALS

    try:
        reader.read(data, place)
    except REFUSALS as error:
        if len(str(error).splitlines()) > 1:
            return True, f"a refusal of several lines: {error}"
        return True, None
    except Exception:
        return True, traceback.format_exc()
    return False, None


def main() -> None:
    from readers import READERS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(READERS))
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--engine", choices=("plain", "atheris"), default="plain")
    parser.add_argument(
        "--out", type=Path, default=Path("fuzz-crashes"), help="where crashing inputs are saved"
    )
    parser.add_argument("--input", type=Path, help="read one saved input and show what happens")
    asked = parser.parse_args()
    if unknown := [name for name in asked.readers if name not in READERS]:
        parser.error(f"no reader {unknown[0]!r}; there are: {', '.join(READERS)}")
    names = asked.readers or list(READERS)
    warnings.simplefilter("error")
    if asked.input or asked.engine == "atheris":
        if len(names) != 1:
            parser.error("name one reader for --input and --engine atheris")
        sys.exit(_one_input(names[0], asked.input) if asked.input else _atheris(names[0], asked))
    total = sum(READERS[name].share for name in names)
    crashes = read = 0
    print(f"{'reader':20} {'inputs':>9} {'accepted':>9} {'refused':>9} {'per s':>8} {'crashes':>8}")
    for name in names:
        runs = -(-asked.runs * READERS[name].share // total)
        begun = time.monotonic()
        children = [
            _fork(_shard, name, range(job, runs, asked.jobs), asked) for job in range(asked.jobs)
        ]
        done = refused = found = 0
        for pipe in children:
            with os.fdopen(pipe) as lines:
                counts = lines.read().split()
            if len(counts) != 3:  # it already said why
                sys.exit(f"a process for {name} died before it could say what it found")
            done, refused, found = (
                done + int(counts[0]),
                refused + int(counts[1]),
                found + int(counts[2]),
            )
        rate = done / (time.monotonic() - begun)
        print(
            f"{name:20} {done:>9} {done - refused:>9} {refused:>9} {rate:>8.0f} {found:>8}",
            flush=True,
        )
        crashes, read = crashes + found, read + done
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    print(
        f"{read} inputs, {crashes} crashes"
        + (f"; the inputs are in {asked.out}" if crashes else "")
    )
    sys.exit(1 if crashes else 0)


def _fork(target, *arguments) -> int:
    """Run `target(*arguments)` in a child; its result can be read as text from the descriptor."""
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        return reading
    os.close(reading)
    try:
        text = target(*arguments)
        with os.fdopen(writing, "w") as file:
            file.write(text)
    finally:
        sys.stderr.flush()
        os._exit(0)


def _shard(name: str, numbers: range, asked: argparse.Namespace) -> str:
    """Read the inputs of these numbers in children that may die.

    Returns what was read, refused and crashed, as text.
    """
    shared = mmap.mmap(-1, 2**23)  # the input that a child reads, to know it if the child dies
    kinds: dict[str, int] = {}
    read = refused = 0
    next_ = 0
    parent = Path(
        tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    )
    try:
        while next_ < len(numbers):
            shared[: _HEAD.size] = _HEAD.pack(next_, 0, 0, 0)
            child = os.fork()
            if child == 0:
                code = _BROKEN
                try:
                    code = _read_all(name, numbers[next_:], next_, shared, parent, asked)
                except BaseException:
                    traceback.print_exc()
                finally:  # a child never continues as its parent, whatever happens
                    os._exit(code)
            _, status = os.waitpid(child, 0)
            if os.waitstatus_to_exitcode(status) == _BROKEN:
                return "the fuzzer itself broke"
            at, size, done, no = _HEAD.unpack(shared[: _HEAD.size])
            read, refused = read + done, refused + no
            if status == 0:
                next_ = len(numbers)
                continue
            code = os.waitstatus_to_exitcode(status)
            data = shared[_HEAD.size : _HEAD.size + size]
            if code == _CRASHED:  # an exception, described behind the input
                what = (
                    bytes(shared[_HEAD.size + size : _HEAD.size + size + 2**20])
                    .split(b"\0", 1)[0]
                    .decode(errors="replace")
                )
            else:
                what = (
                    "five seconds of processor time"
                    if -code == signal.SIGPROF
                    else f"killed by signal {-code}"
                    if code < 0
                    else f"exit {code}"
                )
            kind = hashlib.sha256(_place_of(what).encode()).hexdigest()[:8]
            kinds[kind] = kinds.get(kind, 0) + 1
            if kinds[kind] <= _MOST_CRASHES:
                asked.out.mkdir(parents=True, exist_ok=True)
                file = asked.out / f"{name.replace(' ', '-')}-{kind}-{numbers[at]}"
                file.write_bytes(data)
                file.with_name(f"{file.name}.txt").write_text(what)
                print(
                    f"{name}, input {numbers[at]}: {what.strip().splitlines()[-1][:200]} -> {file}",
                    file=sys.stderr,
                    flush=True,
                )
            next_ = at + 1
            read, refused = read + 1, refused + 1
    finally:
        shutil.rmtree(parent, ignore_errors=True)
    return f"{read} {refused} {sum(kinds.values())}"


def _place_of(what: str) -> str:
    """The lines of a traceback that name the place, without the values."""
    return "\n".join(line for line in what.splitlines() if line.startswith("  File ")) or what


def _read_all(
    name: str,
    numbers: range,
    first: int,
    shared: mmap.mmap,
    parent: Path,
    asked: argparse.Namespace,
) -> int:
    """In a child: returns 0 if all were read, `_CRASHED` at an exception, described in `shared`."""
    from readers import READERS

    reader = READERS[name]
    place = Path(tempfile.mkdtemp(dir=parent))
    (place / "seeds").mkdir()
    seeds = reader.seeds(place / "seeds")
    with open("/proc/self/statm") as file:
        limit = int(file.read().split()[0]) * resource.getpagesize() + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    refused = 0
    for offset, number in enumerate(numbers):
        data = made_input(seeds, reader.vary, asked.seed, name, number)
        shared[: _HEAD.size + len(data)] = (
            _HEAD.pack(first + offset, len(data), offset, refused) + data
        )
        signal.setitimer(signal.ITIMER_PROF, _SECONDS)
        no, crash = crash_of(reader, data, place)
        signal.setitimer(signal.ITIMER_PROF, 0)
        if crash is not None:
            text = crash.encode()[-(2**20) + 1 :] + b"\0"
            shared[_HEAD.size + len(data) : _HEAD.size + len(data) + len(text)] = text
            return _CRASHED
        refused += no
    shared[: _HEAD.size] = _HEAD.pack(first + len(numbers), 0, len(numbers), refused)
    return 0


def _one_input(name: str, path: Path) -> int:
    from readers import READERS

    with tempfile.TemporaryDirectory() as folder:
        refused, crash = crash_of(READERS[name], path.read_bytes(), Path(folder))
    print(crash or ("refused" if refused else "accepted"))
    return 1 if crash else 0


def _atheris(name: str, asked: argparse.Namespace) -> int:
    try:
        import atheris  # pyright: ignore[reportMissingModuleSource]
    except ImportError:
        sys.exit(
            "atheris is not installed: install it by pip install '.[fuzz]', or leave out --engine"
        )
    from readers import READERS, REFUSALS

    instrumented = atheris.instrument_imports(include=["sosmooth"])  # pyright: ignore
    with instrumented:
        for module in [
            module for module in sys.modules if module.split(".")[0] in ("sosmooth", "readers")
        ]:
            del sys.modules[module]
        from readers import READERS, REFUSALS  # again, now instrumented
    reader = READERS[name]
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    (folder / "seeds").mkdir()
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(reader.seeds(folder / "seeds")):
        (corpus / str(number)).write_bytes(seed)

    def read(data: bytes) -> None:
        try:
            reader.read(data, folder)
        except REFUSALS:
            return

    asked.out.mkdir(parents=True, exist_ok=True)
    options = [
        f"-runs={asked.runs}",
        f"-seed={asked.seed + 1}",
        f"-artifact_prefix={asked.out}/",
        "-max_len=65536",
        "-timeout=20",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], read)
    atheris.Fuzz()  # ends the process
    return 0


if __name__ == "__main__":
    main()
