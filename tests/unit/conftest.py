"""Hypothesis draws the same examples every time, and takes what time the machine leaves it."""

from hypothesis import settings

settings.register_profile("deterministic", derandomize=True, deadline=None, database=None)
settings.load_profile("deterministic")
