"""Runs shown: `summary` (one row a run), `figures`, and `html` (one page with both)."""
