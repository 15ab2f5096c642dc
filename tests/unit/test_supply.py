"""The supply-chain check fails if it learned nothing.

The exit code of pip-audit does not say so.
"""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from audit import judged

SOUND = {"name": "numpy", "version": "2.0", "vulns": []}
SKIPPED = {
    "name": "torch",
    "skip_reason": "Dependency not found on PyPI and could not be audited: torch (2.13.0)",
}
VULNERABLE = {
    "name": "jinja2",
    "version": "3.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1"], "aliases": []}],
}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND], 0, "1 packages, no known vulnerability"),
        ([SOUND, VULNERABLE], 1, "jinja2 3.0: PYSEC-1, fixed in 3.1"),
        ([SKIPPED], 2, "nothing could be audited, as torch: Dependency not found"),
        ([SOUND, SKIPPED], 2, "1 of 2 packages could not be audited"),
        ([SKIPPED, VULNERABLE], 2, "PYSEC-1"),
        ([], 2, "nothing could be audited"),
    ],
)
def test_what_was_not_looked_up_is_not_safe(packages, code, said):
    found = judged(0, json.dumps({"dependencies": packages}), "")
    assert found[0] == code
    assert said in found[1]


@pytest.mark.parametrize("out", ["", "no JSON", "[]", "{}", '{"dependencies": 3}'])
def test_an_audit_that_says_nothing_fails_in_one_line(out):
    code, message = judged(1, out, "Traceback\n  many lines\nConnectionError: no network")
    assert code == 2
    assert message == "nothing could be audited: ConnectionError: no network"
