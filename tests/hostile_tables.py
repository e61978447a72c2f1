"""Every payload that is tried on folders of runs, of sweeps and of studies, by name."""

from __future__ import annotations

from hostile_payloads import (
    Payload,
    bytes_file,
    config_line,
    config_value,
    database,
    link,
    npz,
    npz_bomb,
    npz_of_objects,
    overrides_yaml,
    pickle_in_database,
    pickled,
    pipe,
    record,
    sweep_overrides,
    sweep_stages,
    text_file,
)

HEADER = "{{'descr': {}, 'fortran_order': False, 'shape': {}, }}"
TAGS = (
    "!!python/object/apply:os.system ['touch MARKER']",
    "!!python/object/new:pay.Run []",
    "!!python/name:pay.Run",
    "!!python/module:pay",
    "!!python/object/apply:builtins.exec [\"open('MARKER', 'w')\"]",
)
LAUGHS = "\n".join(
    ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"] + [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
)
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "callback": ("+hydra.callbacks.x._target_=pay.Run",),
    "callback-os": ("+hydra.callbacks={x:{_target_:os.system,command:'touch MARKER'}}",),
    "log-file": ("hydra.job_logging.handlers.file.filename=VICTIM", "hydra.job_logging.handlers.file.mode=w"),
    "log-class": ("+hydra.job_logging.handlers.x={'()':pay.Run}",),
    "log-name": ("hydra.job.name=../../../victim",),
    "hydra-log": ("+hydra.hydra_logging.handlers.x={class:logging.FileHandler,filename:OUTSIDE/x,formatter:simple}",),
    "run-dir": ("hydra.run.dir=OUTSIDE/x",),
    "sweep-dir": ("hydra.sweep.dir=OUTSIDE/x", "hydra.sweep.subdir=../../../x"),
    "output-subdir": ("hydra.output_subdir=../../../../x",),
    "launcher": ("hydra.launcher._target_=pay.Run",),
    "launcher-os": ("hydra.launcher._target_=os.system",),
    "launcher-eval": ("hydra/launcher=joblib",
    "hydra.launcher.pre_dispatch=\"__import__('os').system('touch MARKER')\""),
    "launcher-temp": ("hydra/launcher=joblib", "hydra.launcher.temp_folder=OUTSIDE/x"),
    "sweeper": ("hydra.sweeper._target_=pay.Run",),
    "search-path": ("hydra.searchpath=[file://OUTSIDE]", "+hostile=evil"),
    "config-dir": ("--config-dir=OUTSIDE", "+hostile=evil"),
    "config-path": ("--config-path=OUTSIDE/hostile", "--config-name=evil"),
    "rerun": ("--experimental-rerun=OUTSIDE",),
    "cfg": ("--cfg=all",),
    "environment": ("name='${oc.env:HOSTILE_SECRET}'",),
    "new-folder": ("name='${new_folder:OUTSIDE,x,y,z}'",),
    "env-set": ("+hydra.job.env_set.PYTHONSTARTUP=OUTSIDE/x",),
    "data-root": ("data=synthetic", "data.root=OUTSIDE/cache", "data.n_train=60"),
    "data-model": ("model=../../../../../../../../OUTSIDE/hostile/evil",),
    "resume": ("resume=OUTSIDE",),
    "sampler": ("+sampler={_target_:pay.Run}",),
    "sampler-key": ("+sampler._target_=pay.Run",),
    "name": ("name=../../victim",),
}  # fmt: skip

IN_A_RUN: dict[str, Payload] = {f"overrides-{name}": overrides_yaml(*lines) for name, lines in ARGUMENTS.items()}
IN_A_RUN |= {f"overrides-tag-{i}": text_file(".hydra/overrides.yaml", f"- {tag}") for i, tag in enumerate(TAGS)}
IN_A_RUN |= {f"hydra-tag-{i}": text_file(".hydra/hydra.yaml", f"hydra: {tag}") for i, tag in enumerate(TAGS)}
IN_A_RUN |= {f"composed-tag-{i}": text_file(".hydra/config.yaml", f"lam: {tag}") for i, tag in enumerate(TAGS)}
IN_A_RUN |= {f"config-tag-{i}": config_line(f"x: {tag}") for i, tag in enumerate(TAGS)}
IN_A_RUN |= {
    "hydra-callback": text_file(".hydra/hydra.yaml",
    "hydra: {callbacks: {x: {_target_: pay.Run}}, runtime: {choices: {model: ../../x}}}"),
    "composed-target": text_file(".hydra/config.yaml", "_target_: pay.Run\nmodel: {_target_: pay.Run}\n"),
    "config-laughs": config_line(LAUGHS),
    "config-merge": config_line("x: &x {_target_: pay.Run}\ny: {<<: *x}"),
    "config-deep": config_line(f"x: {'[' * 5000}{']' * 5000}"),
    "config-target": config_value("_target_", "pay.Run"),
    "config-model-target": config_value("model._target_", "pay.Run"),
    "config-environment": config_value("name", "${oc.env:HOSTILE_SECRET}"),
    "config-new-folder": config_value("name", "${new_folder:OUTSIDE,x,y,z}"),
    "config-name": config_value("name", "../../victim"),
    "config-root": config_value("data.root", "OUTSIDE/cache"),
    "config-resume": config_value("resume", "OUTSIDE"),
    "config-hidden": config_value("model.hidden", [10**9]),
    "config-steps": config_value("optimizer.schedule.n_s", 10**15),
    "config-hydra": config_value("hydra", {"run": {"dir": "OUTSIDE/x"}}),
    "history-cells": text_file("history.csv", "step,epoch,eta\n=cmd|'/c calc'!A0,1,2\n"),
    "metrics-deep": text_file("metrics.json", "[" * 100_000),
    "metrics-huge": text_file("metrics.json", '{"status": "running", "steps": 1' + "0" * 100_000 + "}"),
    "metrics-text": record("metrics.json", {"status": "../../victim",
    "message": "\x1b]0;x\x07<script>alert(1)</script>"}),
    "pruning-paths": record("pruning.json", {"together": ["OUTSIDE", "../../victim"], "dropped": {"OUTSIDE": 1}}),
}  # fmt: skip
for array_file in ("last.npz", "best.npz", "previous.npz"):
    IN_A_RUN |= {
        f"{array_file}-objects": bytes_file(array_file, npz_of_objects),
        f"{array_file}-pickle": bytes_file(array_file, pickled),
        f"{array_file}-code": bytes_file(array_file, npz("__import__('os').system('touch MARKER')")),
        f"{array_file}-huge": bytes_file(array_file, npz(HEADER.format("'<f8'", "(1000000000000,)"))),
        f"{array_file}-object-dtype": bytes_file(array_file, npz(HEADER.format("'|O'", "(1,)"),
            body=b"cos\nsystem\n(S'x'\ntR.")),
        f"{array_file}-deep": bytes_file(array_file, npz("(" * 9000)),
        f"{array_file}-path": bytes_file(array_file, npz(HEADER.format("'<f8'", "()"), "../../victim.npy", bytes(8))),
        f"{array_file}-link": link(array_file),
        f"{array_file}-pipe": pipe(array_file),
    }  # fmt: skip
IN_A_RUN |= {"last.npz-bomb": bytes_file("last.npz", npz_bomb), "last.npz-endless": link("last.npz", "/dev/zero")}
IN_A_RUN |= {
    f"{name}-link": link(name)
    for name in ("config.yaml", "metrics.json", "history.csv", "train.log", "evaluation.json", "confusion.png",
        ".lock",
                 "curves.png", ".hydra/overrides.yaml", ".hydra/config.yaml", "report.md", "runs.csv")
}  # fmt: skip
IN_A_RUN |= {f"{name}-pipe": pipe(name) for name in ("config.yaml", "metrics.json", "history.csv")}
IN_A_RUN |= {f"{name}-endless": link(name, "/dev/zero") for name in ("config.yaml", "metrics.json", "history.csv")}
IN_A_RUN |= {".hydra-link": link(".hydra", "OUTSIDE"), "history-dangling": link("history.csv", "OUTSIDE/new")}

STAGE = {"params": {"lam": {"values": [0.01]}}, "sampler": "grid", "name": "a"}
SAMPLERS = (
    {"_target_": "builtins.exec", "source": "open('MARKER', 'w')"},
    {"_target_": "pay.Run"},
    {"_target_": "optuna.samplers.TPESampler", "gamma": {"_target_": "os.system", "command": "touch MARKER"}},
    {"_target_": "optuna.samplers.PartialFixedSampler", "fixed_params": {}, "base_sampler": {"_target_": "pay.Run"}},
    {"_target_": "optuna.samplers._base.os.system"},
)
NAMES = ("../../x", "OUTSIDE/x", "..", "a/../../../x", "a\x00b", "", "a" * 5000)


def _stages(entry: str) -> tuple[str, ...]:
    return (f"hydra.sweeper.stages=[{entry}]",)


STAGE_TEXTS = {
    "sampler-exec": "{name:a,sampler:{_target_:builtins.exec},trials:2,params:{lam:{low:0,high:1}}}",
    "sampler-pay": "{name:a,sampler:{_target_:pay.Run},trials:2,params:{lam:{low:0,high:1}}}",
    "sampler-nested": "{name:a,sampler:{_target_:optuna.samplers.TPESampler,gamma:{_target_:pay.Run}},trials:2,"
    "params:{lam:{low:0,high:1}}}",


    "name": "{name:'../../x',sampler:grid,params:{lam:{values:[0.1]}}}",
    "name-absolute": "{name:'OUTSIDE/x',sampler:grid,params:{lam:{values:[0.1]}}}",
    "budget-callback": "{name:a,sampler:grid,"
    "params:{lam:{values:[0.1]}},budget:['+hydra.callbacks.x._target_=pay.Run']}",


    "budget-log": "{name:a,sampler:grid,"
    "params:{lam:{values:[0.1]}},budget:['hydra.job_logging.handlers.file.filename=VICTIM']}",


    "budget-folder": "{name:a,sampler:grid,params:{lam:{values:[0.1]}},budget:['hydra.sweep.dir=OUTSIDE']}",
    "budget-root": "{name:a,sampler:grid,"
    "params:{lam:{values:[0.1]}},budget:['data.root=OUTSIDE/cache','data=synthetic','data.n_train=60']}",


    "budget-secret": "{name:a,sampler:grid,params:{lam:{values:[0.1]}},budget:['name=${oc.env:HOSTILE_SECRET}']}",
    "values-folder": "{name:a,sampler:grid,params:{hydra.sweep.subdir:{values:['../../../x']}}}",
    "values-callback": "{name:a,sampler:grid,params:{+hydra.callbacks.x._target_:{values:[pay.Run]}}}",
    "values-root": "{name:a,sampler:grid,params:{data.root:{values:['OUTSIDE/cache']}}}",
}  # fmt: skip

IN_A_SWEEP: dict[str, Payload] = {f"overrides-{name}": sweep_overrides(*lines) for name, lines in ARGUMENTS.items()}
IN_A_SWEEP |= {f"stages-{name}": sweep_overrides(*_stages(text)) for name, text in STAGE_TEXTS.items()}
IN_A_SWEEP |= {
    f"overrides-shape-{i}": sweep_overrides(shape)
    for i, shape in enumerate(({"a": 1}, [["lam=1"]], [{"_target_": "pay.Run"}], [5, None], 5))
}
IN_A_SWEEP |= {
    f"stage-name-{i}": sweep_stages(lambda stage, target, name=name: stage.update(name=name.replace("OUTSIDE",
        str(target.outside))))
    for i, name in enumerate(NAMES)
}  # fmt: skip
IN_A_SWEEP |= {
    f"stage-sampler-{i}": sweep_stages(lambda stage, target, sampler=sampler: stage.update(sampler=sampler))
    for i, sampler in enumerate(SAMPLERS)
}
IN_A_SWEEP |= {f"sweep-tag-{i}": text_file("sweep.json", tag) for i, tag in enumerate(TAGS[:2])}
IN_A_SWEEP |= {f"study.db-{key}": pickle_in_database(key) for key in ("cma:optimizer", "cma:generation:0", "sobol:x")}
IN_A_SWEEP |= {
    "study.db-pickle": bytes_file("study.db", pickled),
    "study.db-trigger": database("CREATE TRIGGER x AFTER INSERT ON trials BEGIN DELETE FROM trials; END;"),
    "study.db-attach": database("CREATE VIEW hostile AS SELECT writefile('VICTIM', 'x');"),
    "study.db-name": database(
        "UPDATE studies SET study_name = '../../x' WHERE study_id = 1; UPDATE trials SET number = 7;"
    ),


    "study.db-wal": text_file("study.db-wal", "x" * 5000),
    "study.db-link": link("study.db"),
    "study.db-pipe": pipe("study.db"),
    "sweep.json-link": link("sweep.json"),
    "sweep.json-pipe": pipe("sweep.json"),
    "sweep.json-endless": link("sweep.json", "/dev/zero"),
    "lock-link": link(".lock"),
    "lock-pipe": pipe(".lock"),
    "stage-link": link("a", "OUTSIDE"),
    "next-stage-link": link("b", "OUTSIDE"),
    "job-link": link("a/0", "OUTSIDE"),
    "next-job-link": link("b/1", "OUTSIDE"),
    "summary-link": link("summary.md"),
    "table-link": link("runs.csv"),
}  # fmt: skip
for stage in ("a", "b"):
    for name in ("trials.jsonl", "trials.json", "populations.json"):
        paths = ["../../victim", "OUTSIDE/x", "VICTIM", "/dev/zero"]
        trials = [
            {"number": path, "folder": path, "params": {"data.root": path}, "state": "COMPLETE"} for path in paths
        ]
        IN_A_SWEEP |= {
            f"{stage}-{name}-paths": record(f"{stage}/{name}", {"populations": [paths, paths], "trials": trials}),
            f"{stage}-{name}-list": text_file(f"{stage}/{name}", '[["../../victim", "OUTSIDE/x"], ["VICTIM"]]'),
            f"{stage}-{name}-deep": text_file(f"{stage}/{name}", '{"trials":' * 50_000),
            f"{stage}-{name}-link": link(f"{stage}/{name}"),
        }

STUDY = "title: T\nasked: A?\nsteps: [{name: s, what: w, folder: mine, sweep: smoke, overrides: [%s]}]\n"
IN_A_STUDY: dict[str, Payload] = {f"tag-{i}": text_file("study.yaml", f"title: {tag}") for i, tag in enumerate(TAGS)}
IN_A_STUDY |= {
    f"overrides-{name}": text_file(
        "study.yaml", STUDY % ", ".join("'" + line.replace("'", "''") + "'" for line in lines)
    )
    for name, lines in ARGUMENTS.items()
    if name != "launcher-eval"
}
IN_A_STUDY |= {
    "laughs": text_file("study.yaml", LAUGHS),
    "folder": text_file("study.yaml", STUDY.replace("mine", "../../x") % ""),
    "sweep": text_file("study.yaml", STUDY.replace("smoke", "../../../OUTSIDE/hostile/evil") % ""),
}
