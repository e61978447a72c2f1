"""Command lines of every entry point, by hypothesis: each ends in success or in a clear line, and leaves no mess."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_lines import (
    EXTREME,
    WRONG,
    choices_of_conf,
    options,
    overrides,
    settings_of_conf,
    texts,
    values,
)
from entry_points import SMALL
from generated_cases import share_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limited_calls import Enough, complaints
from omegaconf import OmegaConf
from small_sweeps import ALONE, TINY, sweep_in

from kls import aggregate, compare, evaluate, gradcheck, list_runs, train
from kls.bench import __main__ as bench
from kls.config.hydra_entry import project_root
from kls.core.population import Population
from kls.data.sources import synthetic
from kls.report import __main__ as report
from kls.study import __main__ as study

Command = Callable[[], None]

# A call that is stopped half-way leaves its log open, which is found in whatever test comes next.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

SETTINGS = settings_of_conf("train.yaml")
CHECK = {key: own for key, own in settings_of_conf("gradcheck.yaml").items() if key.startswith("gradcheck.")}
CHOICES = choices_of_conf()
SWEEPS = sorted(path.stem for path in (project_root() / "sweeps").glob("*.yaml"))
RUN, SWEEP = "outputs/run", "outputs/sweep"
ROOTS = ("outputs/data", "a_file", "/dev/null/data", "", "é", "null", "5", "${nowhere}", "~nobody/x", "x" * 5000)
STEPS = 20  # of a training that is not stopped by its settings

# What belongs to Hydra, and may be given on the command line.
HYDRA = (
    "hydra.verbose=true", "hydra.verbose=[[1]]", "hydra.verbose=[kls]", "hydra.verbose=5",
    "hydra.run.dir=outputs/mine",
    "hydra.run.dir=a_file/x", "hydra.run.dir=null", "hydra.run.dir=''", "hydra.run=5",
    "hydra.sweep.dir=a_file/x",
    "hydra.output_subdir=null", "hydra.output_subdir=5", "hydra.job.chdir=true", "hydra.job.chdir=maybe",
    "hydra.job=null", "hydra.job.name=''",
    "hydra/job_logging=none", "hydra/job_logging=disabled", "hydra/job_logging=nothing", "hydra/hydra_logging=none",
    "hydra.mode=MULTIRUN",
    "hydra.mode=RUN", "hydra.mode=5", "hydra/launcher=basic", "hydra/launcher=joblib", "hydra/launcher=nothing",
    "hydra/sweeper=basic",
    "hydra/sweeper=optuna", "hydra/sweeper=nothing", "hydra.launcher.n_jobs=0", "hydra.launcher.n_jobs=-2",
    "hydra.launcher.n_jobs=x",
    "hydra.launcher.max_members=0", "hydra.launcher.max_members=-1", "hydra.launcher._target_=os.system",
    "+hydra.launcher._args_=[true]",
    "hydra.sweeper._target_=builtins.exec", "hydra.callbacks={x:{_target_:os.system}}",
    "+hydra.callbacks.x._target_=os.getcwd",
    "hydra.job_logging.root.level=NOTHING", "hydra.job_logging.version=5", "hydra.job_logging=null",
    "hydra.hydra_logging=[1]",
    "hydra.job_logging.handlers.file.filename=/dev/null/x", "hydra.searchpath=[file://outputs]",
    "hydra.searchpath=5", "~hydra.run", "hydra=5",
)  # fmt: skip
FLAGS = (
    "--help", "-h", "--hydra-help", "--version", "--cfg", "--cfg=job", "--cfg=hydra", "--cfg=all", "--cfg=x", "-c",
    "job", "--resolve",
    "--package=model", "--package=nothing", "-p", "--run", "--info", "--info=searchpath", "--info=defaults",
    "--info=all", "--info=x",
    "--config-name=train", "--config-name=nothing", "--config-name=../gradcheck", "--config-name=",
    "--config-path=conf", "--config-path=/",
    "--config-dir=outputs", "--config-dir=nothing", "--config-dir=a_file", "-sc", "--shell-completion",
    "install=bash", "install=csh", "query=bash",
    "uninstall=zsh", "--experimental-rerun=outputs/run", "--experimental-rerun", "--", "-", "--nothing", "-x",
    "---", "-c=job", "--cfg job",
)  # fmt: skip

OVERRIDES = overrides(SETTINGS, CHOICES)
OF_HYDRA = st.sampled_from(HYDRA)
ROOT = st.sampled_from(ROOTS).map(lambda root: f"data.root={root}")


@pytest.fixture(scope="module")
def place(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to call from, with a file, a finished run and a finished sweep of two runs; nothing is fetched."""

    def small_pictures(*_: object) -> tuple[object, ...]:
        import numpy as np

        rng = np.random.default_rng(0)
        parts = [rng.integers(0, 256, (n, 3072), dtype=np.uint8) for n in (1000, 200)]
        return parts[0], parts[0][:, 0] % 10, parts[1], parts[1][:, 0] % 10

    def no_network(*args: object, **kwargs: object) -> None:
        raise OSError("there is no network")

    advance = Population.advance

    def advance_a_little(self: Population, until: int, *rest: Callable[[], bool]) -> list[int]:
        if self.step >= STEPS:
            raise Enough
        return advance(self, min(until, max(self.step, STEPS)), *rest)

    cwd = tmp_path_factory.mktemp("above") / "work"
    cwd.mkdir()
    (cwd / "a_file").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "make_pictures", small_pictures)
        patch.setattr("requests.sessions.Session.request", no_network)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr("kls.sweep.staged_search.StagedSearch._report", lambda self: None)
        patch.setattr("kls.bench.training.measure", _enough)
        patch.setattr(OmegaConf, "load", staticmethod(_read_once(OmegaConf.load)))
        patch.setenv("KLS_CONTROLLER", str(os.getpid()))
        outcome = train_small(cwd, f"hydra.run.dir={RUN}")
        assert outcome == []
        sweep = sweep_in(cwd, *TINY, ALONE, "model.hidden=[4]", "lam=0.01,0.1", f"hydra.sweep.dir={SWEEP}")
        assert (sweep.err, sweep.status) == ("", 0)
        patch.setattr(Population, "advance", advance_a_little)
        yield cwd


def _enough(*args: object) -> None:
    raise Enough


def _read_once(load: Callable[..., object]) -> Callable[..., object]:
    """OmegaConf.load, which keeps what it has read of conf/ and sweeps/: reading takes a third of a call's time."""
    import copy

    known: dict[str, object] = {}

    def read(file: object) -> object:
        name = str(getattr(file, "name", file))
        if not name.startswith((str(project_root() / "conf"), str(project_root() / "sweeps"))):
            return load(file)
        if name not in known:
            known[name] = load(file)
        return copy.deepcopy(known[name])

    return read


def train_small(cwd: Path, *arguments: str) -> list[str]:
    return complaints(train.main, (*SMALL, *arguments), cwd)


def check(main: Command, arguments: tuple[str, ...], cwd: Path) -> None:
    """Call with the arguments; nothing may be wrong with how that ends."""
    try:
        assert complaints(main, arguments, cwd) == []
    finally:
        for path in [*cwd.iterdir(), *cwd.parent.iterdir(), *(cwd / "outputs").iterdir()]:
            if path.name in ("outputs", "a_file", "work", "run", "sweep"):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def cases(n: int) -> settings:
    return settings(
        max_examples=share_of(n), derandomize=True, deadline=None, database=None, report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


HUGE_NUMBERS = ("1000000000", "100000000000000000000000", "[1000000000]", "[100000,100000]")


@pytest.mark.parametrize("key", [key for key in sorted(SETTINGS) if key not in ("name", "resume", "data.root")])
def test_huge_values_of_each_setting(place: Path, key: str) -> None:
    for value in HUGE_NUMBERS[: 4 if key == "model.hidden" else 2]:
        check(train.main, (*SMALL, f"{key}={value}"), place)


@cases(200)
@given(
    st.lists(st.one_of(OVERRIDES, OVERRIDES, OVERRIDES, OVERRIDES, OVERRIDES, OF_HYDRA, ROOT), min_size=1, max_size=3)
)
def test_settings_of_a_run(place: Path, arguments: list[str]) -> None:
    check(train.main, (*SMALL, *arguments), place)


@cases(70)
@given(
    st.lists(st.sampled_from(FLAGS) | texts(), min_size=1, max_size=3), st.lists(OVERRIDES, max_size=1), st.booleans()
)
def test_flags_of_hydra(place: Path, flags: list[str], arguments: list[str], check_gradients: bool) -> None:
    main = gradcheck.main if check_gradients else train.main
    check(main, (*SMALL, "model.hidden=[3]", *arguments, *flags), place)


@cases(60)
@given(st.lists(st.one_of(overrides(CHECK, CHOICES), OVERRIDES), min_size=1, max_size=3))
def test_gradient_checks(place: Path, arguments: list[str]) -> None:
    small = ("model.hidden=[3]", "gradcheck.pictures=2", "gradcheck.dimensions=4")
    check(gradcheck.main, (*SMALL, *small, *arguments), place)


def _stage() -> st.SearchStrategy[str]:
    odd = st.one_of(st.sampled_from(EXTREME), st.sampled_from(WRONG), texts())
    number = st.one_of(st.integers(1, 5).map(str), st.integers(1, 5).map(str), odd)
    bound = st.one_of(st.sampled_from(("1e-5", "0.01", "0.1", "1")), odd)
    interval = st.builds("low:{},high:{},scale:{}".format, bound, bound, st.sampled_from(("log", "linear", "cubic")))
    steps = st.builds("{},steps:{}".format, interval, number)
    narrowed = st.builds(
        "narrow:{{from:{},rule:{},widen:{}}}".format,
        st.sampled_from(("a", "b", "nothing")),
        st.one_of(
            st.builds("range_of_best,k:{}".format, number),
            st.builds("around_best,factor:{}".format, number),
            st.sampled_from(("range_of_best", "around_best", "neighbours_of_best", "best")),
        ),
        st.sampled_from(("3", "1", "0", "null", "1e308")),
    )
    listed = st.lists(st.one_of(bound, odd), min_size=1, max_size=3).map(lambda found: f"values:[{','.join(found)}]")
    range_ = st.one_of(interval, interval, steps, narrowed, listed, st.just("values:[0.01,0.1]"))
    key = st.one_of(
        st.just("lam"), st.sampled_from(sorted(SETTINGS)), st.sampled_from(("lamda", "model", "hydra.run.dir"))
    )
    params = st.builds("params:{{{}:{{{}}}}}".format, key, range_)
    sampler = st.sampled_from((
        "random", "tpe", "grid", "nothing", "{_target_:optuna.samplers.TPESampler}",
        "{_target_:optuna.samplers.CmaEsSampler}",
        "{_target_:optuna.samplers.GPSampler}", "{_target_:optuna.samplers.GridSampler,search_space:{lam:[1]}}",
        "{_target_:os.system}",
        "{_target_:optuna.samplers.BruteForceSampler}", "{_target_:optuna.samplers.QMCSampler,qmc_type:x}",
        "{_target_:5}", "5",
        "{_target_:optuna.samplers.PartialFixedSampler,fixed_params:{},base_sampler:x}",
        "{_target_:optuna.samplers.nothing}",
    ))  # fmt: skip
    name = st.one_of(st.sampled_from(("a", "b", "c")), st.sampled_from(("a", "../b", "/c", "", "A", "null", "5", "é")))
    confirm = st.builds("confirm:{{from:{},best:{},seeds:{}}}".format, st.sampled_from(("a", "b", "x")), number, number)
    parts = st.one_of(
        st.builds("name:{},sampler:{},trials:{},{}".format, name, sampler, number, params),
        st.builds("name:{},sampler:grid,{}".format, name, params),
        st.builds("name:{},{}".format, name, confirm),
        st.builds("name:{},sampler:random,trials:{},{},budget:[{}]".format, name, number, params, odd),
        odd,
    )
    return parts.map(lambda text: "{" + text + "}")


@cases(120)
@given(
    st.one_of(
        st.lists(_stage(), min_size=1, max_size=3).map(lambda stages: [f"hydra.sweeper.stages=[{','.join(stages)}]"]),
        st.lists(st.one_of(values(SWEEPS), st.sampled_from(SWEEPS)), min_size=1,
            max_size=1).map(lambda n: [f"sweeps={n[0]}"]),
        st.lists(st.one_of(OVERRIDES, OF_HYDRA, OF_HYDRA), min_size=1, max_size=2),
        st.lists(st.one_of(OVERRIDES, OVERRIDES, st.sampled_from(("lam=1,2", "seed=range(3)",
            "model=3layer,9layer"))), max_size=3),
    ),
    st.lists(OVERRIDES, max_size=1),
)  # fmt: skip
def test_sweeps(place: Path, search: list[str], arguments: list[str]) -> None:
    check(train.main, ("--multirun", *TINY, ALONE, "model.hidden=[4]", *arguments, *search, "dry_run=true"), place)


@cases(160)
@given(
    st.booleans(),
    st.one_of(
        st.sampled_from((RUN, SWEEP, f"{RUN}/", f"./{RUN}", f"{RUN}/../run", f"'{RUN}'", f'"{SWEEP}"', "a_file",
            "outputs", ".", "/", "~")),
        st.sampled_from((RUN, SWEEP)),
        values(["null"]),
    ),
    st.lists(st.one_of(OVERRIDES, OF_HYDRA, ROOT, st.sampled_from(("threads=2", "plots=true", "resume=null",
        "--cfg=job"))), max_size=2),
)  # fmt: skip
def test_resume(place: Path, sweep: bool, folder: str, arguments: list[str]) -> None:
    flag = ("--multirun",) if sweep else ()
    check(train.main, (*flag, f"resume={folder}", *arguments), place)


NUMBERS = st.one_of(st.integers(-2, 8).map(str), st.sampled_from(("0.5", "1", "0", "1.0", "-1")))
FOLDERS = st.one_of(
    st.sampled_from((RUN, RUN, RUN, SWEEP, SWEEP, "outputs", "outputs/nothing", "a_file", f"{RUN}/config.yaml",
        "")), texts()
)  # fmt: skip
OUT = st.sampled_from(
    ("outputs/tables", "outputs/a/b", "a_file", "a_file/x", "outputs/é", "/dev/null/x", "", "outputs/" + "x" * 300)
)


@cases(140)
@given(
    options(
        {
            "--checkpoint": st.sampled_from(("last", "best", "x")), "--statistics": st.sampled_from(("ema",
            "precise", "adaptive", "x")),
            "--share": NUMBERS, "--flip": NUMBERS, "--translate": NUMBERS, "--reach": NUMBERS, "--threads": NUMBERS,
        },
        FOLDERS,
    )
)  # fmt: skip
def test_evaluate(place: Path, arguments: list[str]) -> None:
    check(evaluate.main, tuple(arguments), place)


COLUMNS = st.sampled_from(
    ("lam", "model", "val_accuracy", "test_accuracy", "seed", "stage", "status", "model.bn.enabled", "hidden",
        "model.hidden", "nothing",
     "optimizer.schedule.eta_max", "batch_size", "trial", "folder", "train_loss", "message")
)  # fmt: skip
CONDITIONS = st.one_of(
    st.builds(
        "{}{}{}{}{}".format,
        st.sampled_from(("", "not ", "(", "lam < 1 and ", "lambda: ", "-")),
        COLUMNS,
        st.sampled_from((" < ", " == ", " != ", " in ", " not in ", " is ", " + ", " < lam < ", "(",
            ".__class__ == ", "[0] == ")),
        st.sampled_from(("0.01", '"finished"', "true", "null", "[1, 2]", "nothing", "lam", "1e999", "(1, 2)",
            "__import__('os')", "9" * 5000)),
        st.sampled_from(("", ")", " or lam > 0", " # x", "\n")),
    ),
    st.sampled_from(("", "(" * 300, "not " * 3000 + "lam", "lam < 1 or " * 2000 + "lam", "x" * 50_000, "True", "1",
        "lam :=1", "\0lam")),
    texts(),
)  # fmt: skip


@cases(170)
@given(
    options(
        {
            "--by": st.lists(COLUMNS, max_size=3).map(",".join), "--metric": COLUMNS, "--where": CONDITIONS,
            "--sort": st.builds("{}{}".format, st.sampled_from(("", "-", "--")), COLUMNS), "--top": NUMBERS,
            "--curves": NUMBERS, "--out": OUT,
        },
        FOLDERS,
    )
)  # fmt: skip
def test_aggregate(place: Path, arguments: list[str]) -> None:
    check(aggregate.main, (*arguments, "--curves=0"), place)


@cases(16)
@given(options({"--out": OUT, "--title": texts()}, FOLDERS))
def test_report(place: Path, arguments: list[str]) -> None:
    check(report.main, tuple(arguments), place)


SIDES = st.one_of(FOLDERS, st.builds("{}::{}".format, FOLDERS, CONDITIONS), CONDITIONS)


@cases(100)
@given(st.lists(SIDES, max_size=3), options({"--metric": COLUMNS, "--best": None}, SIDES))
def test_compare(place: Path, sides: list[str], arguments: list[str]) -> None:
    check(compare.main, (*sides, *arguments), place)


@cases(60)
@given(
    options(
        {"--limit": NUMBERS, "--status": st.sampled_from(("running", "stale", "damaged", "x")), "--json": None}, FOLDERS
    )
)
def test_list_runs(place: Path, arguments: list[str]) -> None:
    check(list_runs.main, tuple(arguments), place)


STUDIES = st.one_of(
    st.sampled_from(("questions", "best_mlp", "straathof2019", "course_e", "all", "", "nothing", ".", "/", "a_file",
        "study.yaml")), texts()
)  # fmt: skip


@cases(130)
@given(
    options({"--list": None, "--smoke": None, "--data": st.sampled_from(("cifar10", "synthetic", "x")),
        "--out": OUT, "--config-dir": FOLDERS}, STUDIES),
    st.sampled_from(("--dry-run", "--list")),
)  # fmt: skip
def test_study(place: Path, arguments: list[str], without_work: str) -> None:
    check(study.main, (without_work, *arguments), place)


@cases(150)
@given(
    options(
        {
            "--quick": None, "--sweep": None, "--growth": None, "--rounds": NUMBERS,
            "--only": st.sampled_from(("3layer", "7layer_bn", "nothing", "", "_base", "../train")),
            "--peers": st.sampled_from(("none", "", "torch", "jax,torch", "x", ",,", "jax,")),
        },
        texts(),
    )
)  # fmt: skip
def test_bench(place: Path, arguments: list[str]) -> None:
    check(bench.main, ("--quick", *arguments), place)
