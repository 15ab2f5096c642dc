"""What runs say, to look at: `summary` (one row a run), `figures`, and `html` (one self-contained page of both)."""
