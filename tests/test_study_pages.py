"""The pages of studies and of their overview: complete, escaped, self-contained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from html_page import Page
from made_up_runs import make_run
from made_up_studies import make_steps, study

import kls.report.pictures
import kls.study.findings.trend
import kls.study.published
from kls.errors import UserError
from kls.study.overview import write_overview
from kls.study.page import write_study_page


@pytest.fixture(scope="module", autouse=True)
def png_alone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (kls.report.pictures, kls.study.findings.trend, kls.study.published):
            patch.setattr(module, "FORMATS", ("png",))
        yield


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Steps of the made-up study, its page, and the overview of it and of two others."""
    out = make_steps(tmp_path_factory.mktemp("studies"))
    assert write_study_page(study(), out) == out / "made_up" / "report.html"
    questions = study(key="questions", title="Questions", published=[])
    other = {"what": "same net", "step": "networks", "where": {"model": "3layer"}, "published": 52.0}
    others = [study(key="other", published=[other], findings=[]), questions]
    assert write_overview([study(), *others], out) == out / "report.html"
    return out


@pytest.fixture(scope="module")
def page(out: Path) -> Page:
    return Page(out / "made_up" / "report.html")


@pytest.mark.parametrize("name", ["made_up", "."])
@pytest.mark.slow
def test_a_page_needs_nothing_else(out: Path, name: str) -> None:
    Page(out / name / "report.html").check_alone()


def test_all_text_is_escaped(page: Page, out: Path) -> None:
    escaped = "A study &lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;quotes&quot; | _bars_"
    assert f"<title>{escaped}</title>" in page.html
    assert "A study <script>alert('x')</script> & \"quotes\" | _bars_" in page.words
    assert "CPU A <CPU>" in page.text
    assert "run <it>" in page.text
    markdown = (out / "made_up" / "report.md").read_text(encoding="utf-8")
    assert "# A study \\<script\\>alert('x')\\</script\\> \\& \"quotes\" \\| \\_bars\\_\n" in markdown
    assert "<script" not in markdown.replace("\\<script", "")


def test_the_parts_stand_in_their_order_and_say_what_is_missing(page: Page) -> None:
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page.html)
    assert headings == [
        "Summary", "Published and measured", "Networks", "Search", "Sensitivity", "Gradients", "Later", "Settings",
        "Commands", "Data, machine and time",
    ]  # fmt: skip
    text = page.text
    assert text.index("Does batch norm help?") < text.index("Where text and code differ") < text.index("4 published")
    assert "4 published figures: inside 1, above 1, not run 1, one run 1." in text
    assert "Batch norm raises the test accuracy of 9 layers by 17.0 points (95 % interval +3.17 to +30.83;" in text
    assert "Batch norm: not known, with model.init.sigma 0.001 some seeds learn and others do not." in text
    assert "Not run yet, so that nothing is said of it: later." in text
    assert "Not complete: gradients." in text
    assert "This step has not been run yet." in text
    assert "Not run yet: nine." in text
    assert text.count("By a smooth curve through") == 1  # not that of the step that has not been run
    assert 'class="banner"' not in page.html


def test_published_beside_ours(page: Page) -> None:
    rows = {row[0]: row[1:] for row in page.cells}
    half = 4.302652729749462 * (4.0 / 3.0) ** 0.5
    assert rows["3 layers"] == [
        "test accuracy %", "53.05", "53.00 ± 1.00 (n=3)", "-0.05", f"{53 - half:.2f} to {53 + half:.2f}", "inside",
    ]  # fmt: skip
    assert rows["3 layers, BN"][1:4] == ["60.00", "53.50 ± 0.95 (n=3)", "-6.50"]
    assert rows["3 layers, BN"][5] == "above"
    assert rows["figure of later"][1:] == ["50.00", "-", "-", "-", "not run"]
    assert rows["best of the search"][1:] == ["54.88", "55.00 (n=1)", "+0.12", "-", "one run"]
    assert "best of the search: best of 5 by validation: lam 0.01." in page.words


def test_gradients_commands_and_times(page: Page) -> None:
    assert ["three", "2", "3.0e-09", "2.0e-10", "-", "-", "W1", "1"] in page.cells
    assert ["W1", "30x50", "3e-09", "1e-10", "0.5", "0.5", "1e-08", "0"] in page.cells
    assert any(
        image["alt"] == "Box plots of relative gradient errors of three, a box a parameter" for image in page.of("img")
    )
    assert "run <it>" in page.text
    assert "python -m kls.train --multirun sweeps=search" in page.text
    assert ["networks", "12", "13 min"] in page.cells
    assert ["gradients", "1 check", "-"] in page.cells
    assert ["later", "not run", "-"] in page.cells


def test_markdown_has_the_same_pictures(page: Page, out: Path) -> None:
    folder = out / "made_up"
    pictures = re.findall(r"!\[.*\]\((report-[^)]+\.png)\)", (folder / "report.md").read_text(encoding="utf-8"))
    assert len(pictures) == len(page.of("img")) >= 7
    assert sorted(pictures) == sorted(path.name for path in folder.glob("*.png"))


def test_the_overview(out: Path) -> None:
    page = Page(out / "report.html")
    assert [link["href"] for link in page.of("a") if not (link["href"] or "").startswith("#")] == [
        "made_up/report.html", "other/report.html", "questions/report.html",
    ]  # fmt: skip
    assert ["3 layers, test accuracy", "53.05", "52.00", "53.00 ± 1.00 (n=3)", "2 of 2"] in page.cells
    assert [row[0] for row in page.cells if any(cell.startswith("lam 0.0") for cell in row)] == ["made_up", "questions"]
    assert "4 of 5 steps have been run: 38 runs and 1 gradient check, in 13 min of wall time." in page.text
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page.html)
    assert headings[-2:] == ["Questions", "Data, machine and time"]  # each study with findings has its part
    assert len(headings) == 6
    assert page.text.count("How many seeds learn, and the range") == 1  # what studies share is shown once


def test_runs_on_other_data_are_not_judged_and_have_a_banner(tmp_path: Path) -> None:
    for seed in range(2):
        make_run(tmp_path / "steps" / "networks" / str(seed), 0.5, test=0.5, seed=seed, data="textures", model="3layer")
    page = Page(write_study_page(study(), tmp_path))
    assert re.search(r'class="banner">[^<]*textures', page.html)
    assert "What the texts say of epochs, trials and seeds is of the whole study" in page.text
    assert "4 published figures: not run 3, other data 1. " in page.text
    assert "inside" not in page.text.split("Inside:")[0]


def test_a_study_of_which_nothing_was_run(tmp_path: Path) -> None:
    page = Page(write_study_page(study(), tmp_path))
    assert "4 published figures: not run 4." in page.text
    assert page.text.count("This step has not been run yet.") == 5
    assert not page.of("img")
    with pytest.raises(UserError, match="none: there is no such folder"):
        write_overview([study()], tmp_path / "none")


def test_a_sweep_that_goes_on_and_what_cannot_be_read(tmp_path: Path) -> None:
    out = make_steps(tmp_path)
    networks, gradients = out / "steps" / "networks", out / "steps" / "gradients" / "three"
    (networks / "sweep.json").write_text((networks / "sweep.json").read_text().replace('"finished"', '"running"'))
    (networks / "step.json").write_text("[")
    (networks / "networks" / "0" / "metrics.json").write_text("{")
    (gradients / "gradients.csv").write_text("parameter\nW1\n")
    steps = [step.model_dump() for step in study().steps if step.name in ("networks", "gradients")]
    text = Page(write_study_page(study(steps=steps, published=[], findings=[]), out)).text
    assert "Its sweep is running." in text
    assert "step.json: not valid JSON" in text
    assert "networks/0/metrics.json: not valid JSON" in text
    assert "gradients.csv: cannot be read" in text
