"""From a published log to better radii.

Research code writes a text file: for each input the class, the radius, and the counts. The counts
are worth more than the radii: `recertify` certifies them again, without the classifier, in
milliseconds. `LOG` is such a file, in the layout of the code of Levine et al. 2020 with
second-order columns: a spiral in the plane, sigma = 0.5, ten million samples per input.

- Its radii are printed with three digits, **rounded to nearest**: some are larger than what their
  counts certify.
- The probability alone (first order) gives less than probability and gradient (second order), and
  the log holds both.

For a log of your own, do the same with three commands. (A log of Cohen et al.'s code has no counts:
sosmooth reads its radii, but cannot certify them again.)

    sosmooth import-log log.tsv --method second_order --sigma 0.5 --n 10000000 --alpha 0.001 \
        --dimension 2 --out printed
    sosmooth recertify printed --method second_order --alpha 0.001 --out second_order
    sosmooth report second_order --out report.html

Choose the method before you look. If you compute several and keep the best of each input, you fail
more often than alpha says.

    python examples/published_log.py
"""

import tempfile
from pathlib import Path

from sosmooth import import_log, recertify
from sosmooth.measures import floored

COLUMNS = (
    "idx label predict radius raw_count p_A_bar raw_grad_norm grad_norm_bound "
    "grad_norm_bound_nonvacuous correct time"
)
LOG = """
0  0  0 0.815 9487247 0.948494 0.135889 0.215325 0 1 0:00:03.186539
12 0  0 0.341 7345305 0.734070 0.501135 0.528238 1 1 0:00:03.560010
24 1  1 0.214 6655927 0.665101 0.703284 0.722847 1 1 0:00:03.040754
36 1  1 0.638 8992183 0.898904 0.346598 0.384746 0 1 0:00:03.029570
48 0  0 0.386 7770232 0.776589 0.543901 0.568970 1 1 0:00:03.476414
60 0 -1 0.0   4638541 0.463335 0.722630 0.741683 1 0 0:00:04.987520
72 0  0 0.251 6661563 0.665665 0.508024 0.534778 1 1 0:00:03.164259
84 0  0 0.259 6979074 0.697429 0.673874 0.694266 1 1 0:00:03.096879
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        rows = [COLUMNS, *LOG.strip().splitlines()]
        (here / "log.tsv").write_text("".join("\t".join(row.split()) + "\n" for row in rows))
        settings = {
            "method": "second_order",
            "sigma": 0.5,
            "n": 10_000_000,
            "alpha": 0.001,
            "dimension": 2,
        }
        printed = import_log(here / "log.tsv", here / "printed", **settings)
        first = recertify(here / "printed", here / "first", method="first_order", alpha=0.001)
        second = recertify(here / "printed", here / "second", method="second_order", alpha=0.001)
    print("input  printed  from its counts: first order  second order")
    for index, old, p, g in zip(
        printed["index"], printed["radius"], first["radius"], second["radius"], strict=True
    ):
        note = "  printed too large" if old > g else ""
        print(f"{index:5}  {old:7.3f}  {floored(p, 6):>28}  {floored(g, 6):>12}{note}")
    print(
        f"mean radius: first order {first['radius'].mean():.4f}, "
        f"second order {second['radius'].mean():.4f}"
    )


if __name__ == "__main__":
    main()
