"""Peak memory does not depend on the number of samples; each n has a fresh process."""

import resource
import subprocess
import sys

SAMPLES = (100_000, 10_000_000)


def peak(n: int) -> float:
    """Peak resident memory, MiB, of a process that certifies one input."""
    code = f"from benchmarks.memory import certify_one; certify_one({n})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def certify_one(n: int) -> None:
    """Certify one input and print this process's peak memory."""
    from sosmooth import SmoothedClassifier, load_classifier
    from sosmooth.datasets import load_dataset

    classifier = load_classifier("mnist7", sigma=0.25)
    smoothed = SmoothedClassifier(classifier, sigma=0.25, batch_size=4096)
    for method in ("first_order", "second_order", "dipole"):
        smoothed.certify(load_dataset("mnist7").get([0]), method=method, n=n)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def main() -> None:
    small, large = (peak(n) for n in SAMPLES)
    print(
        f"n = {SAMPLES[0]:,}: {small:.0f} MiB; n = {SAMPLES[1]:,}: {large:.0f} MiB; "
        f"ratio {large / small:.3f}"
    )
