"""Hypothesis strategies for command lines: settings of conf/ with values of every kind, and options."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from hypothesis import strategies as st

from kls.config.hydra_entry import project_root

Strategy = st.SearchStrategy

# A value is as likely to be plausible as to be one of these.
EXTREME = (
    "0", "-1", "1", "-0.0", "2147483648", "9223372036854775808", "1000000000", "100000000000000000000000", "1e308",
    "1e400", "-1e30", "5e-324", "1e-400", "inf", "-inf", "nan", "0x10", "1_000", "007", "1e3", "1.5e-3",
)  # fmt: skip
WRONG = (
    "", "null", "true", "False", "yes", "[]", "{}", "[1]", "[null]", "[[[1]]]", "{a:1}", "{a:{b:[1,{c:2}]}}", "'5'",
    '"0.5"',
    "''", "???", "[1000000000]", "[100000,100000,100000]", "[1,-1]", "[true]", "['1']", "{}{}", "[1,", "{a", "'",
    '"', "\\", "=",
    "1,2", "choice(1,2)", "range(1,3)", "range(1000000000)", "interval(0,1)", "int(5.5)", "str(5)", "float(x)",
    "tag(a,choice(1))",
    "sort(3,2)", "shuffle(1,2)", "glob(*)", "choice()", "__import__('os')",
)  # fmt: skip
REFERENCES = (
    "${lam}", "${seed}", "${nowhere}", "${model}", "${model.bn}", "${.}", "${..}", "${", "${}", "$", "}",
    "${seed}${seed}",
    "${oc.env:NOT_SET_ANYWHERE}", "${oc.env:NOT_SET_ANYWHERE,5}", "${now:%Y}", "${oc.decode:'[1'}",
    "${oc.select:a.b,3}",
    "${nothing:1}", "${hydra:job.name}", "${hydra:job.nothing}", "${oc.create:{a:1}}", "${model.bn.${dtype}}",
)  # fmt: skip
HUGE = (
    "9" * 3000,
    "x" * 20_000,
    "[" * 400,
    "[" * 60 + "]" * 60,
    "(" * 200,
    "1," * 500,
    "{a:" * 100,
    "-" * 1000,
    "0." + "1" * 4000,
)
UNICODE = (
    "é",
    "日本語",
    "٣",
    "\uff11\uff12",
    "½",
    "\u202e5",
    "\ufeff1",
    "1\u00a0",
    "a\nb",
    "a\tb",
    "\x1b[31m",
    "💥",
    "\udcff",
    "e\u0301",
)
BROKEN_KEYS = (
    "", " ", "=", ".", "..", "lam.", ".lam", "model", "model.bn", "optimizer.schedule", "data.augmentation",
    "hydra", "hydra.nothing",
    "hydra/nothing", "lamda", "seed.x", "model.hidden.0", "model.hidden[0]", "a b", "é", "model@x", "model@:x", "@",
    "/", "model/x",
    "lam\n", "'lam'", "x" * 5000, "sweeps", "study", "-", "--",
)  # fmt: skip


def texts() -> Strategy[str]:
    """Any text that can be an argument of a process."""
    plain = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
    return st.one_of(plain, st.text(string.printable, max_size=12), st.sampled_from(UNICODE + HUGE))


def settings_of_conf(*files: str) -> dict[str, list[str]]:
    """Every setting of conf/, by its key, with plausible values: its own, and the words its comment offers."""
    found: dict[str, list[str]] = {}
    root = project_root() / "conf"
    for path in [root / file for file in files] + sorted(
        p for p in root.glob("*/**/*.yaml") if p.parent.name != "study"
    ):
        text = path.read_text(encoding="utf-8")
        group = ".".join(path.relative_to(root).parent.parts)
        for key, value in _flat(yaml.safe_load(text), group):
            name = key.rpartition(".")[2]
            comment = re.search(rf"^ *{re.escape(name)}:[^#\n]*#(.*)", text, re.MULTILINE)
            offered = re.findall(r"(\w+)(?: \([^)]*\))? *\||\| *(\w+)", comment[1] if comment else "")
            values = [_written(value), *(a or b for a, b in offered)]
            found[key] = list(dict.fromkeys(found.get(key, []) + values))
    return found


def choices_of_conf() -> dict[str, list[str]]:
    """Groups of conf/ and the names of their files."""
    root = project_root() / "conf"
    found: dict[str, list[str]] = {}
    for path in sorted(root.glob("*/**/*.yaml")):
        if path.parent.name != "study" and not path.name.startswith("_"):
            found.setdefault("/".join(path.relative_to(root).parent.parts), []).append(path.stem)
    return found


def _flat(content: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in (content or {}).items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if name in ("hydra", "defaults") or name.endswith(".defaults"):
            continue
        if isinstance(value, dict):
            yield from _flat(value, name)
        else:
            yield name, value


def _written(value: Any) -> str:
    return value if isinstance(value, str) and "${" not in value else json.dumps(value)


def values(own: Sequence[str]) -> Strategy[str]:
    """What may stand behind the = of an override; ``own`` are plausible values of the setting."""
    small = st.one_of(
        st.sampled_from(own),
        st.integers(0, 40).map(str),
        st.sampled_from(("0.5", "0.9", "1e-3", "null", "true", "false", "[8,6]", "[0.1,0.2]")),
    )
    odd = st.one_of(
        st.sampled_from(EXTREME),
        st.sampled_from(WRONG),
        st.sampled_from(REFERENCES),
        texts(),
        texts().map(lambda text: "'" + text.replace("'", "\\'") + "'"),
        st.floats().map(str),
        st.integers().map(str),
    )
    return st.one_of(small, small, odd)


def overrides(settings: dict[str, list[str]], choices: dict[str, list[str]]) -> Strategy[str]:
    """One override of a setting or of a group, most of them of a key that there is."""

    def of(key: str) -> Strategy[str]:
        return values(settings[key]).map(lambda value: f"{key}={value}")

    known = st.sampled_from(sorted(settings)).flatmap(of)
    group = st.sampled_from(sorted(choices)).flatmap(
        lambda name: st.one_of(st.sampled_from(choices[name]), values(["null"])).map(lambda value: f"{name}={value}")
    )
    marked = st.builds(str.__add__, st.sampled_from(("+", "++", "~", "+ ", "^")), known)
    removed = st.sampled_from(sorted(settings)).map(lambda key: f"~{key}")
    unknown = st.builds("{}={}".format, st.one_of(st.sampled_from(BROKEN_KEYS), texts()), values(["1"]))
    rare = st.one_of(marked, removed, unknown, texts())
    return st.sampled_from((*[known] * 10, group, group, rare)).flatmap(lambda strategy: strategy)


def options(known: dict[str, Strategy[str] | None], positional: Strategy[str]) -> Strategy[list[str]]:
    """Arguments of an argparse command: options with values (None: without one), positionals and stray texts."""
    pairs = [
        st.just([name]) if given is None else st.one_of(given, texts(), st.sampled_from(EXTREME + WRONG)).flatmap(
            lambda value, name=name: st.sampled_from(([name, value], [f"{name}={value}"]))
        )
        for name, given in known.items()
    ]  # fmt: skip
    stray = st.one_of(texts(), st.sampled_from(("--", "-", "--nothing", "-h", "--help"))).map(lambda text: [text])
    part = st.one_of(*pairs, *pairs, positional.map(lambda text: [text]), stray)
    return st.builds(
        lambda first, parts: [*first, *(argument for group in parts for argument in group)],
        st.one_of(positional.map(lambda text: [text]), positional.map(lambda text: [text]), st.just([])),
        st.lists(part, max_size=4),
    )
