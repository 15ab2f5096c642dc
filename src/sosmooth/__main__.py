"""`python -m sosmooth` is `sosmooth`."""

from sosmooth.cli import run

run()
