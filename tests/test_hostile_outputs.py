"""Folders that somebody sent, with payloads in every text: what the commands print and write of them is harmless."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from entry_points import call, mistake
from made_up_runs import make_failed_start, make_run, make_sweep

from kls import aggregate, compare, list_runs
from kls.records.escape import csv_cell, html_escaped, latex_escaped, markdown_escaped, one_line, printable, shortened
from kls.report import __main__ as report
from kls.study import __main__ as study

pytestmark = pytest.mark.slow

SCREEN = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\u202egnp\u2028"
MARKUP = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\"' onmouseover='x"
MARKDOWN = "[here](javascript:alert(1)) ![i](http://e.il/x.png) | `a` | <b>\n\n[x]: http://e.il\n# h"
LATEX = "\\input{/etc/passwd}\\write18{rm -rf ~} % ^^5c & # $x$ ~ _ {\n\\end{tabular}"
FORMULAS = ("=cmd|'/C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "\t=1+1", "\r=1+1", " =1+1", "a;=1+1", "\uff1d1+1")
ALL = f"{SCREEN}{MARKUP}{MARKDOWN}{LATEX}\ud800"


class Page(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def cwd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep with payloads in its settings, messages, names, stages and overrides, and what commands made of it."""
    cwd = tmp_path_factory.mktemp("hostile")
    folder = cwd / "sent"
    searched = {"low": 1e-3, "high": 1, "scale": ALL, "source": ALL}
    stage = {"name": "coarse", "sampler": ALL, "status": ALL, "trials": 9, "edge": [ALL], "params": {"lam": searched}}
    make_sweep(folder, [stage], overrides=[ALL, "lam=1\n# rm -rf"], status=ALL, config_dir=f"/x {ALL}")
    for number, formula in enumerate(FORMULAS):
        make_run(
            folder / "coarse" / str(number), 0.5 + number / 100, data=ALL, fingerprint=ALL, lam=10.0**-number,
            history=2, name=formula, dtype=formula, message=ALL, metrics={"cpu": ALL, f"k {ALL}": ALL, "blas": formula},
        )  # fmt: skip
    make_run(folder / "coarse" / f"x{SCREEN}<b>|[a](b)".replace("/", ""), status="failed", message=ALL)
    make_failed_start(folder / "coarse" / "20", ALL)
    for name, settings in (("0", {MARKUP + MARKDOWN: MARKUP}), ("20", {"lam": ALL, ALL: 1})):
        file = folder / "coarse" / name / "metrics.json"
        content = json.loads(file.read_text())
        file.write_text(json.dumps(content | {"settings": content["settings"] | settings}))
    tables = call(aggregate.main, ("sent", "--out", "tables"), cwd)
    page = call(report.main, ("sent", "--out", "page", "--title", ALL.replace("\ud800", "")), cwd)
    listed = call(list_runs.main, (".",), cwd)
    compared = call(compare.main, ("sent::trial == 0", "sent::trial == 1"), cwd)
    outcomes = (tables, page, listed, compared)
    assert [outcome.status for outcome in outcomes] == [0] * 4, "".join(outcome.err for outcome in outcomes)
    (cwd / "printed").write_text("".join(outcome.out + outcome.err for outcome in outcomes), encoding="utf-8")
    return cwd


def controls(text: str) -> set[str]:
    return {sign for sign in text if not sign.isprintable()} - {"\n"}


def test_nothing_reaches_the_terminal(cwd: Path) -> None:
    printed = (cwd / "printed").read_text(encoding="utf-8")
    assert controls(printed) == set()
    assert "\\x1b[2J" in printed


def test_cells_are_no_formulas(cwd: Path) -> None:
    for name in ("runs.csv", "summary.csv"):
        text = (cwd / "tables" / name).read_text(encoding="utf-8")
        assert controls(text) == set()
        cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
        for cell in cells:
            for part in cell.split(";"):
                assert not re.match(r"\s*[=+@\uff1d-](?![\d.]*(e-?\d+)?$)", part), cell
    written = (cwd / "tables" / "runs.csv").read_text(encoding="utf-8").splitlines()
    rows = [row for row in csv.DictReader(written) if row["folder"].split("/")[-1] in "012345678"]
    assert rows[0]["dtype"] == "'=cmd|'/C calc'!A0"
    assert [float(row["lam"]) for row in rows] == [10.0**-number for number in range(9)]
    assert [float(row["val_accuracy"]) for row in rows] == [0.5 + number / 100 for number in range(9)]


def test_pages_have_no_elements_of_others(cwd: Path) -> None:
    text = (cwd / "page" / "report.html").read_text(encoding="utf-8")
    assert controls(text) == set()
    assert "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"" in text
    tags = Page(text).tags
    own = "html head meta title style body main nav ul li a h1 h2 h3 p div table thead tbody tr th td pre code"
    assert {tag for tag, _ in tags} <= {*own.split(), "details", "summary", "figure", "figcaption", "img"}
    attributes = {name for _, given in tags for name in given}
    assert attributes <= {
        "lang", "charset", "name", "content", "http-equiv", "class", "id", "href", "src", "alt",
        "aria-label", "tabindex",
    }  # fmt: skip
    assert all((given["src"] or "").startswith("data:image/png;base64,") for tag, given in tags if tag == "img")
    assert all((given["href"] or "").startswith("#") for tag, given in tags if tag == "a")


@pytest.mark.parametrize("name", ["tables/summary.md", "page/report.md"])
def test_markdown_has_no_links_pictures_or_elements_of_others(cwd: Path, name: str) -> None:
    text = (cwd / name).read_text(encoding="utf-8")
    assert controls(text) == set()
    prose = re.sub(r"(?ms)^(`{3,})sh\n.*?^\1$", "", text)
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", prose)
    links = re.findall(r"\]\(([^)]*)\)", bare)
    assert {re.sub(r"[a-z0-9-]+\.png", "", link) for link in links} == {""}
    assert bare.count("![") == len(re.findall(r"\[(?![\d, ]+\])", bare)) == len(links)
    assert not re.search(r"\]:|://|www\.|`", bare)
    elements = "<!-- written by kls -->", "<details>", "</details>", "<summary>", "</summary>"
    for element in elements:
        bare = bare.replace(element, "")
    assert "<" not in bare
    tables = re.findall(r"(?m)(?:^\|.*\n)+", bare)
    assert tables
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table
    headings = [line for line in bare.splitlines() if line.startswith("#")]
    assert all(re.match(r"#{1,3} ", heading) for heading in headings)
    assert not any(line.strip() == "h" for line in bare.splitlines())


def test_latex_has_no_commands_of_others(cwd: Path) -> None:
    text = (cwd / "tables" / "summary.tex").read_text(encoding="utf-8")
    assert controls(text) == set()
    commands_ = set(re.findall(r"\\([a-zA-Z]+)", text))
    assert commands_ <= {
        "begin", "end", "centering", "caption", "label", "toprule", "midrule", "bottomrule", "pm", "textbackslash",
        "textasciitilde", "textasciicircum", "textless", "textgreater",
    }  # fmt: skip
    assert text.count("\\end{tabular}") == text.count("\\begin{tabular}") == text.count("\\begin{table}") == 2
    body = text.split("\n", 1)[1]
    assert re.search(r"(?<!\\)[%#]", body) is None
    assert "^^" not in body


def test_a_study_that_somebody_sent(tmp_path: Path) -> None:
    content = {
        "title": ALL, "asked": ALL, "known": ALL,
        "steps": [{"name": "a", "what": ALL, "folder": "a", "sweep": "seeds"}],
        "published": [{"what": ALL, "step": "a", "published": 1.0, "score": ALL, "note": ALL}],
    }  # fmt: skip
    (tmp_path / "mine.yaml").write_text(json.dumps(content).replace("\\ud800", ""), encoding="utf-8")
    for option in ("--list", "--dry-run"):
        outcome = call(study.main, ("mine.yaml", option), tmp_path)
        assert (outcome.status, outcome.err, controls(outcome.out)) == (0, "", set())


@pytest.mark.parametrize(
    "override",
    [
        "--config-dir=/x", "-cd", "hydra.run.dir=/x", "+hydra.callbacks.x._target_=os.system",
        "hydra.launcher._target_=x", "hydra/job_logging=x", "resume=/x", "~data", "model@hydra.x=3layer",
        "lam=${oc.env:HOME}", "model=../../x",
        "model=/x", "hydra.launcher={_target_: x}", "lam", "hydra.sweep.dir=/x", "++hydra.sweep.dir=/x",
    ],
)  # fmt: skip
def test_a_study_changes_settings_alone(override: str, tmp_path: Path) -> None:
    step = {"name": "a", "what": "x", "folder": "a", "sweep": "seeds", "overrides": [override]}
    content = {"title": "x", "asked": "x", "steps": [step]}
    (tmp_path / "mine.yaml").write_text(json.dumps(content), encoding="utf-8")
    said = mistake(call(study.main, ("mine.yaml", "--dry-run"), tmp_path))
    assert said.startswith("mine.yaml: steps[0].overrides[0]=")
    assert said.endswith("give a setting as key=value; of hydra there is hydra.launcher alone")
    step["overrides"] = []
    step |= {"sweep": None, "gradients": {"a": [override]}}
    (tmp_path / "mine.yaml").write_text(json.dumps(content), encoding="utf-8")
    assert mistake(call(study.main, ("mine.yaml", "--dry-run"), tmp_path)).startswith("mine.yaml: steps[0].gradients")


@pytest.mark.parametrize("place", ["../x", "/x", "a/b", "..", "A", "", "a\n", "a" * 101])
def test_folders_and_labels_stay_inside(place: str, tmp_path: Path) -> None:
    good = {"name": "a", "what": "x", "folder": "a", "gradients": {"a": []}}
    for bad in ({"folder": place}, {"gradients": {place: []}}, {"gradients": None, "sweep": place}):
        content = {"title": "x", "asked": "x", "steps": [good | bad]}
        (tmp_path / "mine.yaml").write_text(json.dumps(content), encoding="utf-8")
        assert mistake(call(study.main, ("mine.yaml", "--dry-run"), tmp_path)).startswith("mine.yaml: steps[0].")


def test_escaping_to_the_letter() -> None:
    assert printable("a\x1b[0m\tb\nc\u202e\ud800\xa0é") == "a\\x1b[0m b\nc\\u202e\\ud800 é"
    assert one_line(" a\r\nb\u2028c ") == "a\\r b\\u2028c"
    assert shortened("x" * 100) == "x" * 80 + "..."
    assert shortened("x" * 80) == "x" * 80
    assert markdown_escaped("[a](b) [50, 50] [5](c) [d]: http://e www.f g@h !i ![j]") == (
        "\\[a\\](b) [50, 50] \\[5\\](c) \\[d\\]: http\\://e www\\.f g\\@h !i \\!\\[j\\]"
    )
    assert html_escaped("<a href=\"x\">'&") == "&lt;a href=&quot;x&quot;&gt;&#x27;&amp;"
    assert latex_escaped("a\nb%") == "a b\\%"
    assert [csv_cell(text) for text in FORMULAS] == [
        "'=cmd|'/C calc'!A0", "'+1+1", "'-1+1", "'@SUM(A1)", "'=1+1", "\\r=1+1", "'=1+1", "a;'=1+1", "'\uff1d1+1",
    ]  # fmt: skip
    values = [-0.5, "-0.5", "-1e-5", None, True, 3, "a=b", "a-b; c"]
    assert [csv_cell(value) for value in values] == values
