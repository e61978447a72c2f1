"""A user's mistake ends in one line on stderr and exit status 1, and leaves no run behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from entry_points import SMALL, gradcheck_in, mistake, python, run_folders, train_in

from kls.config.new_folder import new_folder
from kls.config.project import project_root
from kls.errors import UserError

MODELS = "3layer, 3layer_bn, 7layer_bn, 7layer_wide_bn, 7layer_wider_bn, 9layer, 9layer_bn"
OWN = "searched: {}; --config-dir FOLDER: FOLDER/{} is {}".format
CONF = project_root() / "conf"
MISTAKES = {
    "model=4layer": f"model=4layer: there is no such choice; there are {MODELS}; "
    + OWN(CONF / "model", "model/4layer.yaml", "model=4layer"),
    "model=9": "the command line cannot be understood: Config group override must be a string or a list. Got int "
    "(given: data=cifar10 optimizer=sgd_cyclic model=9)",
    "sweeps=[5,5]": "the command line cannot be understood: argument of type 'int' is not iterable "
    "(given: data=cifar10 optimizer=sgd_cyclic sweeps=[5,5])",
    "hydra.verbose=[[1]]": "the command line cannot be understood: A logger name must be a string "
    "(given: data=cifar10 optimizer=sgd_cyclic hydra.verbose=[[1]])",
    "hydra.run.dir=null": "hydra.run.dir: field 'hydra.run.dir' is not Optional",
    "optimizer/schedule=cosine": "optimizer/schedule=cosine: there is no such choice; "
    "there are constant, cyclic, step; "
    + OWN(CONF / "optimizer/schedule", "optimizer/schedule/cosine.yaml", "optimizer/schedule=cosine"),
    "model.bn.momentm=0.5": "model.bn.momentm: there is no such setting; did you mean model.bn.momentum?; "
    "see conf/ for those there are",
    "optimizer.beta1=0.5": "optimizer.beta1: there is no such setting with the choices made here; "
    "see conf/ for those there are",
    "+lamda=1": "lamda: there is no such setting; did you mean lam?; see conf/ for those there are",
    "lam=-1": "lam=-1: must be greater than or equal to 0",
    "model.dropout=2": "model.dropout=2: must be less than 1",
    "batch_size=601": "batch_size=601 must not be above data.n_train=600",
    "name=2020": "name=2020: must be a valid string",
    "data.root=${nowhere}": "data.root: Interpolation key 'nowhere' not found",
    "data.root=???": "data.root: Missing mandatory value: root",
    "data.n_train=49900": "data: n_train=49900 and n_val=200 need 50100 pictures; there are 50000",
    "data.n_test=10001": "data: n_test=10001 needs more pictures than the 10000 of the test part",
    "hydra.run.dir=a_file/run": "[Errno 20] Not a directory: 'a_file/run'",
    "resume=/nowhere": "/nowhere: no run to go on with there, it has no config.yaml",
    "resume=": "resume=: give the folder to go on with, or null",
}


@pytest.mark.parametrize("argument", MISTAKES)
def test_mistakes(argument: str, cifar_root: Path, tmp_path: Path) -> None:
    (tmp_path / "a_file").touch()
    outcome = train_in(tmp_path, *SMALL, argument)
    assert mistake(outcome) == MISTAKES[argument]
    assert outcome.out == ""
    assert run_folders(tmp_path) == []
    assert [path for path in tmp_path.rglob("*") if path.name != "outputs"] == [tmp_path / "a_file"]


@pytest.mark.parametrize("argument", ["lam 3", "model.hidden=[20", "seed=1,2"])
def test_command_lines_that_hydra_cannot_read(argument: str, cifar_root: Path, tmp_path: Path) -> None:
    assert argument in mistake(train_in(tmp_path, *SMALL, argument))
    assert list(tmp_path.iterdir()) == []


def test_several_faults_take_a_line_each(cifar_root: Path, tmp_path: Path) -> None:
    outcome = train_in(tmp_path, *SMALL, "lam=-1", "dtype=float16")
    assert outcome.status == 1
    assert set(outcome.err.removeprefix("error: ").splitlines()) == {
        "lam=-1: must be greater than or equal to 0",
        "dtype=float16: must be 'float32' or 'float64'",
    }


@pytest.mark.parametrize("name", ["../elsewhere", "{}/elsewhere"])
def test_no_folder_is_made_outside_outputs(name: str, cifar_root: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    name = name.format(tmp_path)
    line = mistake(train_in(work, *SMALL, f"name={name}"))
    assert line == f"name={name}: must be a folder name under outputs/, such as my_study or studies/first"
    assert list(tmp_path.iterdir()) == [work]


@pytest.mark.parametrize(
    "argument", ["model=4layer", "model=9", "lam=-1", "name=2020", "data.root=???", "hydra.run.dir=/dev/null/x"]
)
@pytest.mark.slow
def test_a_process_of_its_own_tells_one_line_too(argument: str, tmp_path: Path) -> None:
    outcome = python(tmp_path, "-m", "kls.train", argument)
    assert "Traceback" not in outcome.err
    assert mistake(outcome)
    assert run_folders(tmp_path) == []


def test_missing_data_without_download(tmp_path: Path) -> None:
    root = tmp_path / "nothing"
    line = mistake(train_in(tmp_path, *SMALL, f"data.root={root}"))
    assert line.startswith(f"CIFAR-10 is not in {root} and downloading is off: put cifar-10-binary.tar.gz from https://")
    assert run_folders(tmp_path) == []


def test_damaged_data(cifar_root: Path, tmp_path: Path) -> None:
    for path in (cifar_root / "cifar-10-batches-bin").iterdir():
        (tmp_path / path.name).symlink_to(path)
    damaged = tmp_path / "data_batch_3.bin"
    damaged.unlink()
    np.zeros(4000, np.uint8).tofile(damaged)
    assert mistake(train_in(tmp_path, *SMALL, f"data.root={tmp_path}")) == (
        f"{damaged} is cut off or damaged: 4000 bytes are not whole records of 3073"
    )
    assert run_folders(tmp_path) == []


def test_outputs_that_cannot_be_written(cifar_root: Path, tmp_path: Path) -> None:
    (tmp_path / "outputs").touch()
    assert mistake(train_in(tmp_path, *SMALL, "name=study")).endswith("Not a directory: 'outputs/study'")


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("gradcheck.pictures=1", "gradcheck.pictures=1: must be greater than or equal to 2"),
        ("gradcheck.tolerance=0", "gradcheck.tolerance=0: must be greater than 0"),
        (
            "gradcheck.dimensions=3073",
            "gradcheck: asked for 5 pictures of 3073 dimensions, but the data set has 600 of 3072",
        ),
        ("gradcheck.picture=3", None),
        ("lam=-1", "lam=-1: must be greater than or equal to 0"),
    ],
)
def test_mistakes_of_the_gradient_check(argument: str, line: str | None, cifar_root: Path, tmp_path: Path) -> None:
    told = mistake(gradcheck_in(tmp_path, *SMALL, argument))
    assert told == (
        line
        or "gradcheck.picture: there is no such setting; did you mean gradcheck.pictures?; "
        "see conf/ for those there are"
    )
    assert run_folders(tmp_path) == []


def test_new_folders_are_nobody_elses(tmp_path: Path) -> None:
    made = [new_folder(str(tmp_path), None, "2026-01-31", "12-00-00") for _ in range(3)]
    day = tmp_path / "2026-01-31"
    assert made == [str(day / name) for name in ("12-00-00", "12-00-00-2", "12-00-00-3")]
    assert new_folder(str(tmp_path), "a/study", "2026-01-31", "12-00-00") == str(tmp_path / "a/study/12-00-00")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new_folder(str(tmp_path), "study", "day", "noon"), range(40)))
    assert len(set(made)) == 40
    assert all(Path(folder).is_dir() for folder in made)


def test_new_folder_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Path.mkdir

    def taken(self: Path) -> None:
        if self.name.startswith("noon"):
            raise FileExistsError
        make(self)

    monkeypatch.setattr(Path, "mkdir", taken)
    with pytest.raises(UserError, match=r"has ten thousand folders of noon already$"):
        new_folder(str(tmp_path), None, "day", "noon")


def test_two_runs_of_one_second_get_two_folders(cifar_root: Path, tmp_path: Path) -> None:
    where = "hydra.run.dir='${new_folder:outputs,${name},today,noon}'"
    for _ in range(2):
        assert train_in(tmp_path, *SMALL, where, "optimizer.schedule.n_s=1").status == 0
    assert run_folders(tmp_path) == [tmp_path / "outputs/today/noon", tmp_path / "outputs/today/noon-2"]
    assert all((folder / "metrics.json").is_file() for folder in run_folders(tmp_path))
