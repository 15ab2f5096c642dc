"""Take the pictures of docs/report.md: `python -m scripts.draw_report RUN…`, from the root.

Those in docs/ show the runs of `sosmooth demo`. The script needs Chromium and Playwright.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from sosmooth.cli import main as sosmooth

IMAGES = Path(__file__).parents[1] / "docs" / "images"
_SETTLED = 700  # milliseconds until the plots are in view and the labels have faded in


def main(runs: Sequence[str]) -> None:
    """Draw the report of the runs and take its pictures, light, dark and narrow."""
    with TemporaryDirectory() as folder, sync_playwright() as driver:
        report = Path(folder) / "report.html"
        if sosmooth(["report", *runs, "--out", str(report)]):
            raise SystemExit("the report could not be written")
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), chromium_sandbox=not root
        )

        page = _opened(browser, report, 1400, 840)
        page.locator("#plot-accuracy .main-svg").first.wait_for()
        page.locator("#plot-accuracy").hover(position={"x": 250, "y": 140})
        _take(page, "report_light")

        page.select_option("#answer", "pictures")
        page.set_viewport_size({"width": 1200, "height": 1100})
        page.locator("#inputs tbody tr").filter(has_not_text="abstained").nth(2).locator(
            "a"
        ).click()
        _take(page, "report_image")

        page = _opened(browser, report, 1200, 1000, scheme="dark")
        page.locator("#inputs th button", has_text="change").click()
        _show(page, "#figure-probability", 70)
        _take(page, "report_dark")

        page = _opened(browser, report, 400, 860)
        _show(page, "#inputs-heading", 70)
        _take(page, "report_400px")
        browser.close()


def _opened(browser: Browser, report: Path, width: int, height: int, scheme: str = "light") -> Page:
    page = browser.new_page(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-ready]")
    return page


def _show(page: Page, selector: str, above: int = 130) -> None:
    """Scroll until so many pixels are above it: the page's top line, and a heading."""
    page.locator(selector).evaluate(
        "(it, above) => scrollTo(0, it.getBoundingClientRect().top + scrollY - above)", above
    )
    page.wait_for_timeout(_SETTLED)


def _take(page: Page, name: str) -> None:
    """Take a picture with few colours: these pages have few, and the file becomes small."""
    page.wait_for_timeout(_SETTLED)
    with Image.open(BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").quantize(255, dither=Image.Dither.NONE).save(
            IMAGES / f"{name}.png", optimize=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
