"""The report as its reader sees it.

It opens in a browser, with a mouse and with a keyboard, light and dark, narrow and printed.
"""

import os
import re
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from sosmooth import load_classifier, load_run
from sosmooth.cli import main
from sosmooth.datasets import load_dataset
from sosmooth.measures import floored
from sosmooth.report.headline import headline
from sosmooth.report.html import write_report
from sosmooth.report.noisy import noisy_of, redrawable
from sosmooth.smoothed import SmoothedClassifier

HOSTILE = "<img src=x onerror=\"document.title='hit'\">&amp;<b>%{x}"
INPUTS = 30


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One run of real images and two recertifications of it."""
    folder = tmp_path_factory.mktemp("runs")
    options = {
        "model": "mnist7",
        "data": "mnist7",
        "sigma": 0.25,
        "indices": f"0:{INPUTS}",
        "n": 4000,
        "batch-size": 2000,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    assert main(["certify", *words, "--out", str(folder / "pairs")]) == 0
    for method in ("first_order", "dipole"):
        path = str(folder / method)
        assert (
            main(
                [
                    "recertify",
                    str(folder / "pairs"),
                    "--method",
                    method,
                    "--alpha",
                    "0.001",
                    "--out",
                    path,
                ]
            )
            == 0
        )
    return [folder / name for name in ("first_order", "dipole", "pairs")]


@pytest.fixture(scope="module")
def report(runs):
    out = runs[0].parent / "report.html"
    assert main(["report", *map(str, runs), "--out", str(out), "--pictures", "3"]) == 0
    return out


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install 'sosmooth[test]'"
    )
    program = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if program is None:
        pytest.skip("there is no Chromium here; Debian's package is `chromium`")
    # Chromium's sandbox refuses to run for root.
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(
            executable_path=program, chromium_sandbox=not root, args=["--disable-gpu"]
        )
        yield launched
        launched.close()


@pytest.fixture
def opened(browser):
    """Open a report.

    After the test, the page must have printed nothing on the console and loaded nothing else.
    """
    pages = []

    def open_page(path, *, width=1100, scheme="light", at="", javascript=True):
        page = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=javascript,
        ).new_page()
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri() + at)
        if javascript:
            page.wait_for_selector("html[data-ready]")
        pages.append((page, said, asked))
        return page

    yield open_page
    for page, said, asked in pages:
        assert said == []
        assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)
        assert sum(url.startswith("file:") for url in asked) == 1
        page.context.close()


def plot(page, name):
    """The plot of that name, drawn and visible."""
    found = page.locator(f"#plot-{name}")
    found.scroll_into_view_if_needed()
    found.locator(".main-svg").first.wait_for()
    return found


def radii(page, column):
    """The values of a column of radii in the table, with abstentions as 0."""
    texts = page.locator(f"#inputs tbody td:nth-child({column})").all_inner_texts()
    return [float(re.match(r"[\d.]+", text)[0]) if text[0].isdigit() else 0.0 for text in texts]


def choose(page, plot, words):
    """Show a plot in the view of that name."""
    page.locator(f"#views-{plot} label", has_text=words).click()


def test_it_opens_with_the_result_and_both_plots_on_the_first_screen(opened, report, runs):
    page = opened(report, width=1400)
    assert page.locator("h1").inner_text() == headline([load_run(run) for run in runs])
    for name in ("change", "accuracy"):
        box = plot(page, name).bounding_box()
        assert box["y"] + box["height"] <= 900
    assert not page.get_by_text("sigma 0.25 · n 4").first.is_visible()
    page.get_by_text("The same for all runs", exact=True).click()
    assert page.get_by_text("sigma 0.25 · n 4").first.is_visible()
    # The run that the sentence is about comes first.
    assert page.locator(".columns thead th").first.inner_text() == "pairs"


def test_the_curve_tells_the_runs_where_the_pointer_is(opened, report):
    page = opened(report)
    accuracy = plot(page, "accuracy")
    accuracy.hover(position={"x": 250, "y": 200})
    tip = accuracy.locator(".hoverlayer .legend")
    tip.wait_for()
    assert all(
        name in tip.text_content() for name in ("radius", "first_order", "dipole", "pairs", "%")
    )
    page.get_by_role("checkbox", name="dipole").uncheck()
    accuracy.hover(position={"x": 251, "y": 200})
    page.wait_for_function(
        "() => !document.querySelector('#plot-accuracy .hoverlayer').textContent.includes('dipole')"
    )
    assert page.locator("#inputs th").all_inner_texts()[2:5] == ["pairs", "change", "first_order"]


def bands(page):
    """The runs whose interval is visible in the plot of certified accuracy."""
    return page.evaluate(
        """document.getElementById('plot-accuracy').data
        .filter((trace) => trace.band && trace.fillcolor !== 'rgba(0,0,0,0)')
        .map((trace) => trace.run.name)"""
    )


def test_only_the_run_at_the_pointer_has_a_band(opened, report):
    page = opened(report)
    accuracy = plot(page, "accuracy")
    assert bands(page) == []
    page.locator("#runs label", has_text="dipole").hover()
    assert bands(page) == ["dipole"]
    accuracy.hover(position={"x": 250, "y": 60})
    page.wait_for_function("() => document.querySelector('#plot-accuracy .hoverlayer .legend')")
    assert len(bands(page)) == 1
    page.locator("h1").hover()
    page.wait_for_function("() => !document.querySelector('#plot-accuracy .hoverlayer .legend')")
    assert bands(page) == []
    choose(page, "accuracy", "minus first order")
    assert bands(page) == ["pairs"]
    assert "minus first order" in accuracy.locator(".ytitle").text_content()


def test_a_curve_is_drawn_as_its_swatch_says(opened, report):
    page = opened(report)
    swatches = page.locator("#runs svg line").evaluate_all(
        """lines => lines.map((line) =>
        `${getComputedStyle(line).stroke} ${line.getAttribute('stroke-dasharray')}`)"""
    )
    assert len(swatches) == len(set(swatches)) == 3
    drawn = (
        plot(page, "accuracy")
        .locator(".lines path.js-line")
        .evaluate_all(
            """paths => paths.map((path) => path.style)
        .filter((style) => Number.parseFloat(style.strokeWidth) > 1)
        .map((style) => `${style.stroke} ${style.strokeDasharray}`)"""
        )
    )
    assert len(drawn) == len(set(drawn)) == 3


def test_an_input_of_the_curve_of_changes_opens(opened, report):
    page = opened(report)
    plot(page, "change").focus()
    page.keyboard.press("ArrowRight")
    tip = page.locator("#plot-change .hoverlayer .hovertext")
    tip.wait_for()
    assert re.search(r"[+−±][\d.]+ % (pairs|dipole)", tip.text_content())
    name = re.search(r"input (\d+)", tip.text_content())[1]
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=f"Input {name}", exact=False).wait_for()


def test_a_bar_of_the_histogram_leaves_its_inputs_in_the_table(opened, report):
    page = opened(report)
    plot(page, "change")
    choose(page, "change", "the paper’s bins")
    bars = page.locator("#plot-change .points path")
    bars.first.wait_for()
    box = max((bar.bounding_box() for bar in bars.all()), key=lambda box: box["width"])
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    chip = page.locator("#bin")
    chip.wait_for(state="visible")
    assert re.match(r"(dipole|pairs): (larger|smaller|within)", chip.inner_text())
    left = int(re.search(r"of (\d+)", page.locator("#found").inner_text())[1])
    assert 0 < left < INPUTS
    chip.click()
    assert page.locator("#found").inner_text().endswith(f"of {INPUTS} inputs")


@pytest.mark.parametrize(
    ("kind", "begins"), [("CSV", b"run,"), ("PDF", b"%PDF"), ("SVG", b"<svg"), ("PNG", b"\x89PNG")]
)
def test_a_figure_is_there_as_a_file(kind, begins, opened, report, tmp_path):
    page = opened(report)
    with page.expect_download() as download:
        page.locator("#figure-accuracy .files:visible").get_by_text(kind, exact=True).click()
    assert download.value.suggested_filename == f"accuracy.{kind.lower()}"
    download.value.save_as(tmp_path / "file")
    content = (tmp_path / "file").read_bytes()
    assert content.startswith(begins)
    assert b"var(" not in content
    if kind == "PNG":
        with Image.open(tmp_path / "file") as picture:
            assert picture.width > 1200


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_an_input_shows_its_text_or_its_features(opened, runs, tmp_path):
    run, out = [load_run(runs[0])], tmp_path / "report.html"
    write_report(run, out, texts=[HOSTILE] * INPUTS)
    page = opened(out, at="#input-3")
    assert page.locator("blockquote").inner_text() == HOSTILE
    write_report(run, out, inputs=lambda index: np.array([index, 0.5]), features=["a", HOSTILE])
    page = opened(out, at="#input-3")
    assert page.locator(".contents tr").all_inner_texts() == ["a\t3", f"{HOSTILE}\t0.5"]


@pytest.mark.usefixtures("no_figures")
def test_without_a_first_order_run_its_own_samples_are_the_baseline(opened, runs, tmp_path):
    out = tmp_path / "report.html"
    assert main(["report", str(runs[2]), "--out", str(out), "--pictures", "0"]) == 0
    page = opened(out)
    assert "larger than first order's from half of the samples" in page.locator("h1").inner_text()
    assert page.get_by_text("sosmooth recertify RUN --method first_order").is_visible()
    assert plot(page, "change").is_visible()
    assert page.locator(".columns thead th").all_inner_texts()[:2] == [
        "pairs",
        "first_order (computed)",
    ]


def test_the_table_sorts_by_its_titles_and_says_so(opened, report, runs):
    page = opened(report)
    expected = sorted(
        (float(floored(radius, 4)) for radius in load_run(runs[0])["radius"]), reverse=True
    )
    title = page.locator("#inputs th button", has_text="first_order")
    title.focus()
    page.keyboard.press("Enter")
    assert page.locator("#inputs th[aria-sort=descending]").inner_text().startswith("first_order")
    assert radii(page, 5) == expected[:25]
    page.keyboard.press("Enter")
    assert page.locator("#inputs th[aria-sort=ascending]").count() == 1
    assert radii(page, 5) == expected[::-1][:25]
    page.locator("#later").click()
    assert radii(page, 5) == expected[::-1][25:]


def test_filters_leave_what_they_say(opened, report, runs):
    page = opened(report)
    opened_runs = [load_run(run) for run in runs]
    abstained = np.any([run["prediction"] == -1 for run in opened_runs], axis=0)
    label = opened_runs[0]["label"]
    wrong = np.any(
        [(run["prediction"] >= 0) & (run["prediction"] != label) for run in opened_runs], axis=0
    )
    found = page.locator("#found")
    for value, count in (
        ("abstained", abstained.sum()),
        ("wrong", wrong.sum()),
        ("pictures", 3),
        ("all", INPUTS),
    ):
        page.select_option("#answer", value)
        assert found.inner_text().endswith(f"of {count} inputs")
    page.select_option("#label", "7")
    assert found.inner_text().endswith(f"of {np.sum(label == 7)} inputs")


def test_an_image_has_a_page_that_back_leaves(opened, report, runs):
    page = opened(report)
    page.locator("#inputs a[href='#input-5']").first.click()
    page.get_by_role("heading", name="Input 5", exact=False).wait_for()
    assert page.url.endswith("#input-5")
    assert not page.locator("#overview").is_visible()
    run = load_run(runs[2])
    shown = page.locator("#input").inner_text()
    assert floored(float(run["radius"][5]), 5) in shown
    assert f"bothsidesright:{run['pair_both'][5]}(" in re.sub(r"\s", "", shown)
    assert page.locator(".regions figure > svg").count() == 3
    assert "50.0 % in it" in page.locator(".regions").inner_text()
    page.locator(".regions input").first.fill("0")
    assert "at distance 0.000" in page.locator(".regions").inner_text()
    page.locator("#input-title").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("heading", name="Input 6", exact=False).wait_for()
    page.go_back()
    page.get_by_role("heading", name="Input 5", exact=False).wait_for()
    page.keyboard.press("Escape")
    page.locator("#overview").wait_for(state="visible")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#input-5"


def test_a_page_of_an_image_shows_what_the_classifier_saw(opened, report):
    page = opened(report)
    page.select_option("#answer", "pictures")
    page.locator("#inputs a").first.click()
    page.locator(".pictures").wait_for()
    words = page.locator(".pictures figcaption").all_inner_texts()
    assert words[0] == "x"
    assert [word[:5] for word in words[1:5]] == ["x + ε", "x − ε", "x + ε", "x − ε"]
    assert all(
        page.locator(".pictures img").evaluate_all(
            "images => images.map(image => image.naturalWidth === 7)"
        )
    )


def test_plots_work_with_the_keyboard(opened, report):
    page = opened(report)
    plot(page, "radius").focus()
    page.keyboard.press("ArrowRight")
    tip = page.locator("#plot-radius .hoverlayer .hovertext")
    tip.wait_for()
    name = re.search(r"input (\d+)", tip.text_content())[1]
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=f"Input {name}", exact=False).wait_for()


def test_every_control_is_reached_by_the_tabulator(opened, report):
    page = opened(report)
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(e => e.id || e.dataset.column || e.closest('fieldset')?.id || e.tagName)"
                "(document.activeElement)"
            )
        )
    assert {
        "runs",
        "theme",
        "plot-accuracy",
        "plot-change",
        "plot-radius",
        "plot-probability",
        "views-change",
        "views-accuracy",
        "answer",
        "label",
        "input",
        "radius-0",
    } <= reached


def test_light_and_dark(opened, report):
    page = opened(report, scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    line = "document.querySelector('#plot-accuracy .main-svg').style.background"
    plot(page, "accuracy")
    drawn_dark = page.evaluate(line)
    page.locator("#theme").click()
    assert page.evaluate(ground) == "rgb(243, 245, 247)" != dark
    assert page.evaluate(line) != drawn_dark


def test_it_prints_the_figures_on_few_pages(opened, report):
    page = opened(report, width=794)
    printed = page.pdf(format="A4")
    assert 1 <= len(re.findall(rb"/Type\s*/Page[^s]", printed)) <= 5
    page.emulate_media(media="print")
    for stem in ("relative-change", "accuracy", "probability", "relative-change-bins"):
        assert page.locator(f"#{stem} svg").is_visible()
    assert page.get_by_text("sigma 0.25 · n 4").last.is_visible()
    assert not page.locator("#plot-accuracy").is_visible()
    assert not page.locator("#inputs").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 794


def test_a_telephone_shows_it_without_scrolling_sideways(opened, report):
    for at in ("", "#input-5"):
        page = opened(report, width=400, at=at)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_a_telephone_shows_the_best_run_first(opened, report):
    page = opened(report, width=400)
    for table, column in ((".columns", "pairs"), ("#inputs", "pairs"), ("#inputs", "change")):
        box = page.locator(f"{table} thead th", has_text=column).first.bounding_box()
        assert box["x"] + box["width"] <= 400


def test_without_a_script_the_figures_stand(opened, report):
    page = opened(report, javascript=False)
    assert page.locator("#accuracy svg").is_visible()
    assert not page.locator("#inputs").is_visible()
    assert page.get_by_text("Smallest and largest radii of pairs").is_visible()
    assert page.locator("#accuracy").get_by_text("PDF").is_visible()


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_hostile_names_stay_text(opened, runs, tmp_path):
    folder = tmp_path / HOSTILE
    shutil.copytree(runs[2], folder)
    assert (
        main(
            [
                "report",
                str(runs[0]),
                str(folder),
                "--out",
                str(tmp_path / "report.html"),
                "--pictures",
                "0",
            ]
        )
        == 0
    )
    page = opened(tmp_path / "report.html")
    plot(page, "accuracy").hover(position={"x": 350, "y": 200})
    tip = page.locator("#plot-accuracy .hoverlayer .legend")
    tip.wait_for()
    assert "<img src=x" in tip.text_content()
    plot(page, "radius").focus()
    page.keyboard.press("ArrowRight")
    page.locator("#plot-radius .hoverlayer .hovertext").wait_for()
    page.keyboard.press("Enter")
    page.locator("#input-title").wait_for()
    assert page.locator("#input").get_by_text(HOSTILE).first.is_visible()
    assert page.locator("img, b").count() == 0
    assert page.title() != "hit"


def test_a_name_in_the_address_that_is_no_image_shows_the_overview(opened, report):
    page = opened(report, at="#input-<img src=x>%")
    assert page.locator("#overview").is_visible()


def test_it_opens_quickly(opened, report):
    begun = time.perf_counter()
    page = opened(report)
    seconds = (
        page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
        / 1000
    )
    total = time.perf_counter() - begun
    print(f"\nthe report opened in {seconds:.2f} s ({total:.2f} s with the new page)")
    assert seconds < 60


# What the pictures show


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("method", ["first_order", "second_order_dipole"])
def test_the_noisy_copies_are_those_that_the_classifier_saw(exact, method, tmp_path):
    options = [
        "--model",
        "mnist7",
        "--data",
        "mnist7",
        "--sigma",
        "0.25",
        "--indices",
        "3,4",
        "--n",
        "2000",
        "--seed",
        "5",
    ]
    assert (
        main(
            [
                "certify",
                *options,
                "--method",
                method,
                *["--exact"][:exact],
                "--out",
                str(tmp_path / "run"),
            ]
        )
        == 0
    )
    run, inputs = load_run(tmp_path / "run"), load_dataset("mnist7")
    assert redrawable(run)
    classifier = load_classifier("mnist7", sigma=0.25)
    for index, noisy in noisy_of(run, inputs, [3, 4], classifier).items():
        seen = []

        def spy(points, seen=seen):
            seen.append(points.clone())
            return classifier(points)

        lattice = inputs.lattice if exact else None
        smoothed = SmoothedClassifier(
            spy, sigma=0.25, num_classes=10, batch_size=4000, device="cpu", lattice=lattice
        )
        smoothed.certify(
            inputs.get([index]), method=method, n0=100, n=2000, alpha=0.001, seed=5, indices=[index]
        )
        estimation = seen[-1]
        assert len(estimation) == 2000
        # For pairs the batch contains all x + ε, then all x − ε.
        rows, signs = (
            ([0, 1000, 1, 1001], [1, -1, 1, -1])
            if method == "second_order_dipole"
            else ([0, 1, 2, 3], [1] * 4)
        )
        np.testing.assert_array_equal(noisy.copies, estimation[rows])
        assert noisy.signs == signs
        assert noisy.answers == classifier(estimation[rows]).argmax(1).tolist()


def test_the_copies_shown_are_not_what_a_classifier_made_of_them(runs):
    run, inputs = load_run(runs[2]), load_dataset("mnist7")
    index = int(run["index"][0])
    classifier = load_classifier("mnist7", sigma=0.25)
    shown = noisy_of(run, inputs, [index], classifier)[index]
    in_place = noisy_of(run, inputs, [index], lambda x: classifier(x.mul_(2) / 2))[index]
    np.testing.assert_array_equal(in_place.copies, shown.copies)
    assert in_place.answers == shown.answers


def test_the_direction_drawn_is_the_one_that_was_certified_with(runs):
    run, inputs = load_run(runs[2]), load_dataset("mnist7")
    pairs, norm = run["direction_pairs"], run["direction_norm"]
    found = noisy_of(run, inputs, run["index"][:6].tolist(), load_classifier("mnist7", sigma=0.25))
    drawn = [noisy.direction is not None for noisy in found.values()]
    assert drawn == ((pairs > 0) & (norm >= 0))[:6].tolist()
    assert any(drawn)
    for noisy in found.values():
        if noisy.direction is not None:
            assert noisy.direction.shape == noisy.input.shape
            assert np.sum(noisy.direction**2) == pytest.approx(1)


@pytest.mark.usefixtures("no_figures")
def test_pictures_of_other_data_are_refused(runs, tmp_path, capsys):
    assert (
        main(["report", str(runs[0]), "--data", "mnist7:train", "--out", str(tmp_path / "a.html")])
        == 2
    )
    assert "was made with other data" in capsys.readouterr().err
    weights = ["--model", "mnist7_pca10"]
    assert main(["report", str(runs[2]), *weights, "--out", str(tmp_path / "a.html")]) == 2
    assert "was made with another classifier" in capsys.readouterr().err
    assert not (tmp_path / "a.html").exists()
