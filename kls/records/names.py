"""Names and columns of every file that a run or a sweep writes."""

from __future__ import annotations

SCHEMA = 1  # of metrics.json, sweep.json and step.json; files without one are older and are read as far as they go

CONFIG = "config.yaml"
METRICS = "metrics.json"
HISTORY = "history.csv"
LAST = "last.npz"
PREVIOUS = "previous.npz"  # the checkpoint before the last, until the run has ended
BEST = "best.npz"
SNAPSHOT = "snapshot-{}.npz"  # of the end of cycle 1, 2, ...
INPUTS = "inputs.npz"  # how raw examples become the network's inputs, and the names of its classes
CURVES = "curves.png"
WEIGHTS = "weights.png"

LOG = "train.log"
LOCK = ".lock"  # held by the process that works in a folder; names it, and is touched as it goes on

# What Hydra leaves in a run's folder
HYDRA = ".hydra"
HYDRA_OVERRIDES = ".hydra/overrides.yaml"  # written last

# Files of a sweep's folder; its runs are in <stage>/<number>/
SWEEP = "sweep.json"
STUDY = "study.db"
TRIALS = "trials.jsonl"  # of each stage: what its study asked and was told
TRIALS_AS_ONE = "trials.json"  # the same as older versions wrote it
TOLD = "kls:told"  # of a trial in them: how many had been told when it was asked for
POPULATIONS = "populations.json"  # of each stage: which runs train together
TASKS = "tasks.json"  # of each stage: which runs SLURM's jobs train that are in its queue
SLURM = ".slurm"  # of each stage: scripts, logs and errors of those jobs
SUMMARY = "summary.md"
RUNS_TABLE = "runs.csv"
GROUPS_TABLE = "summary.csv"

FILES_OF_A_RUN = (CONFIG, METRICS, HISTORY, INPUTS, LAST, PREVIOUS, BEST, CURVES, WEIGHTS)
FILES_OF_A_SWEEP = (SWEEP, STUDY, SUMMARY, RUNS_TABLE, GROUPS_TABLE)

# Studies: their steps are in <out>/steps/<folder>/, each with its commands and times, and what they printed
STEPS = "steps"
STEP = "step.json"
STEP_LOG = "step.log"
GRADIENTS = "gradients.csv"
PLAYS = "plays.csv"
PLAY_COLUMNS = (
    "way",  # of searching
    "network",
    "seeds",  # of the table of runs
    "play",  # 0, 1, ...
    "epochs",  # of all runs of the search
    "value",  # of the searched setting, that the search would confirm
    "regret",  # points of true validation accuracy that it is below the best, after all cycles of the table
    "regret_2",  # the same after two cycles
    "low",  # 95 % interval of the best value, of ways that go by a curve
    "high",
    "best",  # what the interval is to hold: the true best value after as many cycles as the runs of the curve
)

SPLITS = ("train", "val", "test")
QUANTITIES = ("loss", "cost", "accuracy")

HISTORY_COLUMNS = (
    "step",  # updates made so far
    "epoch",  # the same in passes through the training set
    "eta",  # learning rate of the next update (after the last one: of that)
    "train_loss",  # on the first evaluation.n_train training pictures
    "train_cost",
    "train_accuracy",
    "val_loss",
    "val_cost",
    "val_accuracy",
)

# Status of a run in metrics.json
RUNNING = "running"
FINISHED = "finished"
DIVERGED = "diverged"
INTERRUPTED = "interrupted"
FAILED = "failed"
PRUNED = "pruned"
ENDED = (FINISHED, DIVERGED, PRUNED)

# Keys of metrics.json. Accuracies are shares, losses mean cross-entropies, costs losses plus the L2 term.
STATUS = "status"
MESSAGE = "message"
VAL_ACCURACY = "val_accuracy"
VAL_LOSS = "val_loss"
BEST_VAL_ACCURACY = "best_val_accuracy"
BEST_STEP = "best_step"
TEST_HELD_OUT = "test_held_out"  # share of the examples that was made the test part of data without one
IMAGE_SHAPE = "image_shape"  # channels, rows and columns; null where examples are no pictures
# Attributes of a trial in study.db, beside steps, seconds and test_accuracy
SEEDS_OF_TRIAL = "seeds"
SCORES_OF_TRIAL = "scores"  # one a seed
SD_OF_TRIAL = "sd"
FOLDERS_OF_TRIAL = "folders"  # of its runs, in that of the stage

TIMES = ("seconds", "training_seconds", "steps_per_second", "started", "ended")


def metric(split: str, quantity: str) -> str:
    """Key of a final score, for example ``test_accuracy``."""
    return f"{split}_{quantity}"


def ensemble_metric(split: str, quantity: str) -> str:
    """Key of a score of the ensemble of snapshots, for example ``ensemble_test_accuracy``."""
    return f"ensemble_{metric(split, quantity)}"
