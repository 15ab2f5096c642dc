"""Look up known vulnerabilities of the pinned packages, by pip-audit.

    python scripts/audit.py [constraints.txt]

Exit codes: 0 if every package was looked up and no vulnerability is known, 1 if one is known, 2 if
not every package could be looked up: a package that was not looked up is not safe.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

COMMAND = [
    sys.executable,
    "-m",
    "pip_audit",
    "--no-deps",
    "--disable-pip",
    "--progress-spinner",
    "off",
    "--format",
    "json",
    "-r",
]


def judged(code: int, out: str, err: str) -> tuple[int, str]:
    """Exit code and message from the output of pip-audit.

    pip-audit also exits with 0 if its service knew nothing.
    """
    try:
        packages = json.loads(out)["dependencies"]
        known = [package for package in packages if "skip_reason" not in package]
        vulnerable = [(package, each) for package in known for each in package["vulns"]]
    except (ValueError, KeyError, TypeError):
        last = (err.strip().splitlines() or [f"it exited with {code} and said nothing"])[-1]
        return 2, f"nothing could be audited: {last[:300]}"
    lines = [
        f"{package['name']} {package['version']}: {each['id']}, "
        f"fixed in {', '.join(each['fix_versions']) or 'no version'}"
        for package, each in vulnerable
    ]
    skipped = [package for package in packages if "skip_reason" in package]
    if skipped or not packages:
        reason = f", as {skipped[0]['name']}: {skipped[0]['skip_reason']}" if skipped else ""
        what = (
            "nothing could be audited"
            if not known
            else f"{len(skipped)} of {len(packages)} packages could not be audited"
        )
        lines.append(f"{what}{reason}")
        return 2, "\n".join(lines)
    return (
        (1, "\n".join(lines)) if lines else (0, f"{len(packages)} packages, no known vulnerability")
    )


def main(arguments: Sequence[str]) -> int:
    file = arguments[0] if arguments else "constraints.txt"
    done = subprocess.run([*COMMAND, file], capture_output=True, text=True)
    code, message = judged(done.returncode, done.stdout, done.stderr)
    print(message, file=sys.stderr if code else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
