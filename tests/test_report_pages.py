"""The pages of studies, of their overview, and of a user's own runs: complete, escaped, self-contained."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_up_runs import make_run
from made_up_studies import make_steps, study

import kls.reporting.output
from kls.errors import UserError
from kls.report import run
from kls.reporting.overview import write_overview
from kls.reporting.runs_report import write_runs_report
from kls.reporting.study_report import write_study_report

VOID = {"meta", "img", "br"}
PNG = "data:image/png;base64,"


class Page(HTMLParser):
    """Checks that elements nest, and collects words, attributes and cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.cells: list[list[str]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        elif tag in ("td", "th"):
            self.cells[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and data.strip():
            self.words.append(data)
        if {"td", "th"} & {*self.open}:
            self.cells[-1][-1] += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Steps of the made-up study, its report, and the overview."""
    out = make_steps(tmp_path_factory.mktemp("studies"))
    assert write_study_report(study(), out) == out / "made_up" / "report.html"
    questions = study(key="questions", title="Questions", published=[])
    other = {"what": "same net", "step": "networks", "where": {"model": "3layer"}, "published": 52.0}
    assert write_overview([study(), study(key="other", published=[other]), questions], out) == out / "report.html"
    return out


@pytest.fixture(scope="module")
def html(out: Path) -> str:
    return (out / "made_up" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["made_up/report.html", "report.html"])
def test_a_page_needs_nothing_else(out: Path, name: str) -> None:
    text = (out / name).read_text(encoding="utf-8")
    page = Page(text)
    assert "<script" not in text
    assert not re.search(r"https?:|url\(|@import|<link", text)
    assert all((image["src"] or "").startswith(PNG) and image["alt"] for image in page.of("img"))
    assert all(
        (link["href"] or "").startswith("#") or (link["href"] or "").endswith("/report.html") for link in page.of("a")
    )
    anchors = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(anchors) == len(set(anchors))
    assert {f"#{anchor}" for anchor in anchors} == {link["href"] for link in page.of("a") if link["href"][0] == "#"}  # type: ignore[index]
    assert len(text) < 6_000_000


def test_all_text_is_escaped(html: str, out: Path) -> None:
    assert (
        "<title>A study &lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;quotes&quot; | _bars_</title>"
        in html
    )
    page = Page(html)
    assert "A study <script>alert('x')</script> & \"quotes\" | _bars_" in page.words
    assert any("CPU A <CPU>" in words for words in page.words)
    assert any("run <it>" in words for words in page.words)
    markdown = (out / "made_up" / "report.md").read_text(encoding="utf-8")
    assert "# A study \\<script\\>alert('x')\\</script\\> \\& \"quotes\" \\| \\_bars\\_\n" in markdown
    assert "<script" not in markdown.replace("\\<script", "")


def test_the_parts_of_a_report_stand_in_their_order(html: str) -> None:
    page = Page(html)
    headings = re.findall(r"<h[123][^>]*>(.*?)</h[123]>", html)
    assert headings[1:] == [
        "Summary", "Published and measured", "What was measured", "Networks", "Search", "Sensitivity", "Gradients",
        "Later", "Where text and code differ", "Settings", "Commands", "Data, machine and time",
    ]  # fmt: skip
    words = " ".join(page.words)
    assert words.index("Does batch norm help?") < words.index("Batch norm adds 17.0 points to 9 layers: 52.00 ± 1.00 %")
    assert (
        "Of 4 published figures, 1 of 2 lie inside the spread of our seeds, 2 of 3 are within 1 point of ours" in words
    )
    assert "1 is not compared, for want of runs." in words
    assert "The best lam is 0.01 of 5 values tried" in words
    assert "Not run yet, so that nothing is said of it: later." in words
    assert "Not complete: gradients." in words
    assert "This step has not been run yet." in words
    assert "Not run yet: nine." in words
    assert words.count("The best lam ") == 1  # and not that of the step that has not been run
    assert "CIFAR-10, fingerprint 00112233aabbccdd: 45,000 training, 5,000 validation, 10,000 test pictures." in words


def test_published_beside_ours(html: str) -> None:
    rows = {row[0]: row[1:] for row in Page(html).cells}
    half = 4.302652729749462 * (4.0 / 3.0) ** 0.5
    assert rows["3 layers"] == [
        "test accuracy %", "53.05", "53.00 ± 1.00 (n=3)", "-0.05", f"{53 - half:.2f} to {53 + half:.2f}", "inside",
    ]  # fmt: skip
    assert rows["3 layers, BN"][1:4] == ["60.00", "53.50 ± 0.95 (n=3)", "-6.50"]
    assert rows["3 layers, BN"][5] == "above"
    assert rows["figure of later"][1:] == ["50.00", "-", "-", "-", "not run"]
    assert rows["best of the search"][1:] == ["54.88", "55.00 (n=1)", "+0.12", "-", "one run"]
    assert "best of the search: best of 5 by validation: lam 0.01." in Page(html).words


def test_settings_commands_and_times(html: str) -> None:
    page = Page(html)
    rows = [tuple(row) for row in page.cells]
    assert ("search", "coarse", "5", "0", "3layer_bn", "lam 0.0001 to 0.1 (5 values)") in rows
    assert ("networks", "networks", "12", "0, 1, 2", "3layer, 3layer_bn, 9layer, 9layer_bn", "-") in rows
    assert ("3layer_bn", "[50, 50]", "true") in rows
    assert ("batch_size", "100") in rows
    assert ("networks", "12", "13 min") in rows
    assert ("later", "not run", "-") in rows
    commands = next(words for words in page.words if "kls.gradcheck" in words).splitlines()
    assert commands[0] == "run <it>"
    assert commands[1] == "python -m kls.train --multirun sweeps=search"
    assert next(r[:4] for r in rows if r[0] == "parameter") == ("parameter", "shape", "largest relative error", "mean")
    assert ("W1", "30x50", "3.0e-09", "1.0e-10", "0.5", "0.5", "1.0e-08", "0") in rows
    assert ("network", "sigma 0.1", "sigma 0.001", "sigma 0.0001") in rows
    assert ("3layer", "53.00 ± 0.00 (n=3)", "23.33 ± 23.09 (n=3)", "10.00 ± 0.00 (n=3)") in rows


def test_markdown_says_the_same(html: str, out: Path) -> None:
    folder = out / "made_up"
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[.*\]\((report-[^)]+\.png)\)", markdown)
    assert len(pictures) == len(Page(html).of("img")) >= 8
    assert sorted(pictures) == sorted(path.name for path in folder.glob("*.png"))
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".png") == ["report.html", "report.md"]

    def plain(text: str) -> set[str]:
        return set(re.findall(r"[\w.±%]+", text))

    body = re.sub(r"!\[.*?\]\(.*?\)", " ", markdown).replace("\\", "")
    missing = plain(" ".join(Page(html).words)) - plain(body) - {"script", "x"}
    assert missing == set()


def test_the_overview(out: Path) -> None:
    text = (out / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    words = " ".join(page.words)
    assert [link["href"] for link in page.of("a") if link["href"][0] != "#"] == [  # type: ignore[index]
        "made_up/report.html", "other/report.html", "questions/report.html",
    ]  # fmt: skip
    assert "[Questions](questions/report.md)" in (out / "report.md").read_text(encoding="utf-8")
    assert ["3 layers", "53.05", "52.00", "53.00 ± 1.00 (n=3)", "2 of 2"] in page.cells
    assert (
        "3 layers: 52.00 and 53.05 % differ by no more than seeds explain: their standard deviation, 0.74 points"
        in words
    )
    assert [row for row in page.cells if row[0] == "other"][-1][:5] == [
        "other", "5 values", "lam 0.01", "55.00 % (n = 1)", "0.001 to 0.03",
    ]  # fmt: skip
    assert "made_up, other: 3layer learns at sigma 0.1 (all 3 runs)" in words
    assert "4 of 5 steps have been run: 38 runs and 1 gradient check, in 13 min of wall time." in words
    assert words.index("made_up, other: 3layer learns") < words.index("Batch norm: gain in test accuracy")
    assert [image["alt"] for image in page.of("img")] == [
        "Published accuracies beside our runs, a row a figure",
        "Plot of gain in test accuracy against sigma", "Heat map of mean scores",
    ]  # fmt: skip
    assert "the farthest from our mean is 3 layers, other, by -1.00 points." in words


def test_a_study_of_which_nothing_was_run(tmp_path: Path) -> None:
    text = write_study_report(study(), tmp_path).read_text(encoding="utf-8")
    assert "None of the 4 published figures can be compared yet" in text
    assert text.count("This step has not been run yet.") == 5
    assert "<img" not in text
    with pytest.raises(UserError, match="none: there is no such folder"):
        write_overview([study()], tmp_path / "none")


def test_a_sweep_that_goes_on_and_what_cannot_be_read(tmp_path: Path) -> None:
    out = make_steps(tmp_path)
    networks = out / "steps" / "networks"
    (networks / "sweep.json").write_text((networks / "sweep.json").read_text().replace('"finished"', '"running"'))
    (networks / "step.json").write_text("[")
    (networks / "networks" / "0" / "metrics.json").write_text("{")
    (out / "steps" / "gradients" / "three" / "gradients.csv").write_text("parameter\nW1\n")
    text = write_study_report(study(), out).read_text(encoding="utf-8")
    assert "This step is not complete: its sweep is running, 11 runs have a result so far." in text
    assert "step.json: not valid JSON" in text
    assert "networks/0/metrics.json: not valid JSON" in text
    assert "gradients.csv: cannot be read as a table of gradients" in text


def test_a_report_that_fails_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    make_run(tmp_path / "runs" / "0", 0.5, seed=0, history=2)
    make_run(tmp_path / "runs" / "1", 0.5, seed=1, history=2)
    write_runs_report([tmp_path / "runs"], out, "first")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setattr(kls.reporting.output, "page", lambda blocks, title: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_runs_report([tmp_path / "runs"], out, "second")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert sorted(before) == ["report-1-curves.png", "report.html", "report.md"]


def test_pictures_of_an_earlier_report_go_away(tmp_path: Path) -> None:
    make_run(tmp_path / "0", 0.5)
    (tmp_path / "report-old.png").write_bytes(b"\x89PNG Software\0written by kls")
    (tmp_path / "report-mine.png").touch()
    write_runs_report([tmp_path], tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["report-mine.png", "report.html", "report.md"]


def test_the_command_line_on_runs_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_steps(tmp_path)
    steps, out = tmp_path / "steps", tmp_path / "own"
    run([str(steps / "search"), str(steps / "networks"), "--out", str(out), "--title", "Mine <b>"])
    assert capsys.readouterr().out == f"written: {out}/report.html\n"
    page = Page((out / "report.html").read_text(encoding="utf-8"))
    words = " ".join(page.words)
    assert "Mine <b>" in page.words
    assert "search: 8 runs: 8 finished; what varies: lam." in words
    assert "search: Best on CIFAR-10: confirm, lam 0.01: val accuracy 54.00 ± 1.00 % (n=3)." in words
    assert "networks: Best on CIFAR-10: 3layer_bn: test accuracy 53.50 ± 0.95 % (n=3)." in words
    assert "python -m kls.train --multirun sweeps=networks 'name=it'\"'\"'s mine'" in words
    assert ["3layer_bn", "53.50 ± 0.95 (n=3)"] in [row[:2] for row in page.cells]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "none: there is no such folder"),
        (["empty"], "empty: no runs there (a run's folder holds metrics.json)"),
        (["runs/0"], "runs/0: is the folder of a run, which tables do not go into; give --out FOLDER"),
        (["runs", "empty"], "--out: give a folder to write to, for there are several to read"),
        (["runs", "--out", "file"], "file: cannot be written to (File exists)"),
    ],
)
def test_mistakes_are_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    make_run(tmp_path / "runs" / "0")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        run(arguments)
    assert str(error.value) == message
    assert not list(tmp_path.rglob("report*"))


def test_importing_the_entry_point_loads_neither_pandas_nor_matplotlib() -> None:
    check = "import sys, kls.report; sys.exit('pandas' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
