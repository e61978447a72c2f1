"""Pages on any runs: complete, escaped, self-contained, and the same in Markdown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from entry_points import call, mistake
from html_page import Page
from made_up_runs import make_run, make_sweep

import kls.report.pictures
from kls.report import __main__ as report
from kls.report.page import write_runs_page

NAUGHTY = "A <script>alert('x')</script> & \"quotes\" | _bars_"
NETWORKS = {"3layer": (0.520, 0.530, 0.540), "3layer_bn": (0.528, 0.531, 0.546), "9layer": (0.30, 0.35, 0.40)}


def make_networks(folder: Path) -> None:
    make_sweep(
        folder, [{"name": "networks", "trials": 9, "sampler": "grid", "status": "finished"}], status="finished",
        overrides=["sweeps=networks", "name=it's mine"],
    )  # fmt: skip
    for number, (model, seed) in enumerate((model, seed) for model in NETWORKS for seed in range(3)):
        score = NETWORKS[model][seed]
        make_run(
            folder / "networks" / str(number), score, test=score - 0.01, model=model, seed=seed, history=2,
            lam=0.1 if model == "9layer" else 0.01,
            metrics={"kls_version": "9.9", "cpu": NAUGHTY, "population": 3, "started": "2026-01-02T03:04:05"},
        )  # fmt: skip


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page on a sweep of three networks."""
    out = tmp_path_factory.mktemp("networks") / "12-34-56"
    make_networks(out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kls.report.pictures, "FORMATS", ("png",))
        assert write_runs_page([out], out) == out / "report.html"
    return out


@pytest.fixture(scope="module")
def page(out: Path) -> Page:
    return Page(out / "report.html")


def test_a_page_needs_nothing_else(page: Page) -> None:
    page.check_alone()
    assert not any((link["href"] or "").endswith(".html") for link in page.of("a"))


def test_what_a_page_says(page: Page) -> None:
    words = page.text
    headings = ["Summary", "Runs", "Settings", "Commands", "Data, machine and time"]
    assert page.words[:2] == ["Runs of it's mine", "Runs of it's mine"]
    assert page.words[2:7] == headings
    assert "9 runs: 9 finished; they differ in" in words
    assert "CIFAR-10, 20 epochs: best validation accuracy 53.50 ± 0.96 % (n = 3), 3layer_bn, lam 0.01; " in words
    assert "1 other group not told apart from it." in words
    assert "Sweep it's mine, finished" in words
    assert ["networks", "finished", "grid", "9 of 9", "53.50 ± 0.96 % (n = 3)", "-"] in page.cells
    scores = ["53.50 ± 0.96 (n=3)", "51.10 to 55.90", "52.50 ± 0.96 (n=3)"]
    assert ["3layer_bn", "0.01", *scores, "best"] in page.cells
    assert ["3layer", "0.01", "53.00 ± 1.00 (n=3)", "50.52 to 55.48", "52.00 ± 1.00 (n=3)", "tied"] in page.cells
    assert ["lam 0.01", "53.00 ± 1.00", "53.50 ± 0.96", "-"] in page.cells
    assert "Not told apart from the best by validation accuracy, 3layer_bn, lam 0.01 (5 %, Holm): 3layer" in words
    assert "banner" not in {attributes.get("class") for attributes in page.of("p")}
    assert "python -m kls.train --multirun sweeps=networks 'name=it'\"'\"'s mine'" in words
    assert ["networks", "9", "0, 1 and 2", "3layer, 3layer_bn and 9layer", "lam 0.01 and 0.1"] in page.cells
    assert ["3layer_bn", "[50, 50]", "true"] in page.cells
    assert ["batch_size", "100"] in page.cells
    data = "Data set CIFAR-10: 45,000 training, 5,000 validation, 10,000 test pictures; fingerprint 00112233aabbccdd."
    assert data in words
    assert "9 runs, 37.5 s of training and evaluation by one process" in words
    assert f"kls 9.9, CPU {NAUGHTY}." in words


def test_markdown_says_the_same(out: Path, page: Page) -> None:
    markdown = (out / "report.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[.*\]\((report-[^)]+\.png)\)", markdown)
    assert len(pictures) == len(page.of("img")) == 2
    assert sorted(pictures) == sorted(path.name for path in out.glob("*.png"))
    assert "<script" not in markdown.replace("\\<script", "")

    def plain(text: str) -> set[str]:
        return {*re.findall(r"[\w.±%]+", text)}

    body = re.sub(r"!\[.*?\]\(.*?\)", " ", markdown).replace("\\", "")
    assert plain(" ".join(page.words)) - plain(body) == set()


def test_runs_on_other_data_have_a_banner(tmp_path: Path) -> None:
    make_run(tmp_path / "a" / "0", data="synthetic-10", metrics={"n_train": 100})
    make_run(tmp_path / "b" / "0", metrics={"n_train": 4000, "n_val": 1000})
    texts = [write_runs_page([tmp_path / name], tmp_path / name).read_text() for name in ("a", "b")]
    assert '<p class="banner">Runs on made-up data, synthetic-10, are no results on real data.</p>' in texts[0]
    assert '<p class="banner">These runs use 5,000 of 50,000 pictures: a trial' in texts[1]


def test_the_command_line_on_several_folders(tmp_path: Path) -> None:
    make_run(tmp_path / "a" / "0", 0.5, lam=0.1)
    make_run(tmp_path / "b" / "0", 0.6, lam=0.2)
    outcome = call(report.main, ("a", "b", "--out", "own", "--title", NAUGHTY), tmp_path)
    assert (outcome.status, outcome.out) == (0, "written: own/report.html\n")
    text = (tmp_path / "own" / "report.html").read_text(encoding="utf-8")
    escaped = "A &lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;quotes&quot; | _bars_"
    assert f"<title>{escaped}</title>" in text
    assert f"<h1>{escaped}</h1>" in text
    assert "60.00 % (n = 1), lam 0.2." in text
    assert "<h1>Runs of a and b</h1>" in write_runs_page([tmp_path / "a", tmp_path / "b"], tmp_path / "own").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("none", "none: there is no such folder"),
        ("empty", "empty: no runs there (a run's folder holds metrics.json)"),
        ("runs/0", "runs/0: is the folder of a run; give another --out"),
        ("runs empty", "--out: give a folder to write to, for there are several to read"),
        ("runs --out file", "file: cannot be written to (File exists)"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: str, message: str) -> None:
    make_run(tmp_path / "runs" / "0")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert mistake(call(report.main, tuple(arguments.split()), tmp_path)) == message
    assert not list(tmp_path.rglob("report*"))
