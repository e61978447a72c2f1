"""How numbers are written: scores come in record units and are shown here alone, accuracies in percent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_WORDS = {"val": "validation", "train": "training"}
_SETTINGS = {
    "lam": "L2 factor lam", "model.init.sigma": "Initial standard deviation sigma", "batch_size": "Batch size",
    "model.dropout": "Dropout rate", "optimizer.schedule.eta_max": "Largest learning rate eta_max",
    "data.n_train": "Training pictures", "data.test_augmentation.share": "Share of test pictures that is augmented",
}  # fmt: skip


def is_accuracy(score: str) -> bool:
    """Whether the score is a share, which is shown in percent."""
    return score.endswith("accuracy")


def scale(score: str) -> float:
    """What a score in record units is multiplied by to be shown: 100 or 1."""
    return 100.0 if is_accuracy(score) else 1.0


def unit(score: str) -> str:
    """" %" or nothing."""
    return " %" if is_accuracy(score) else ""


def score_name(score: str) -> str:
    """For example "validation accuracy"."""
    return " ".join(_WORDS.get(word, word) for word in score.split("_"))


def score_head(score: str) -> str:
    """The head of a column, for example "validation accuracy %"."""
    return score_name(score) + unit(score)


def score_axis(score: str) -> str:
    """The label of an axis, for example "Validation accuracy (%)"."""
    return capital(score_name(score)) + (" (%)" if is_accuracy(score) else "")


def number(score: str, value: float, digits: int | None = None) -> str:
    """A score without its unit: "53.41" for an accuracy of 0.5341, "1.234" for others, "-" for NaN."""
    digits = (2 if is_accuracy(score) else 3) if digits is None else digits
    return "-" if math.isnan(value) else f"{scale(score) * value:.{digits}f}"


def signed(score: str, value: float) -> str:
    """A difference of scores without its unit, always with its sign."""
    text = number(score, abs(value))
    return text if text == "-" else f"{'-' if value < 0 and float(text) else '+'}{text}"


def points(score: str, change: float) -> str:
    """The size of a difference, for example "9.6 points", "0.31 points" or, of a loss, "0.123"."""
    if not is_accuracy(score):
        return number(score, abs(change))
    text = number(score, abs(change), 1 if abs(change) >= 0.01 else 2)
    return f"{text} point" if text in ("1.0", "1.00") else f"{text} points"


def mean_sd(score: str, mean: float, sd: float) -> str:
    """For example "53.41 ± 0.21"; without the sd if that is NaN."""
    return number(score, mean) + ("" if math.isnan(sd) else f" ± {number(score, sd)}")


def sample_text(sample: Any) -> str:
    """Of a `groups.Sample`, for example "53.41 ± 0.21 % (n = 5)"."""
    return f"{mean_sd(sample.score, sample.mean, sample.sd)}{unit(sample.score)} (n = {sample.n})"


def p_text(p: float) -> str:
    """For example "p = 0.034" or "p < 0.001"."""
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def range_text(score: str, low: float, high: float) -> str:
    """For example "52.10 to 53.90"; accuracies within 0 to 100, "-" if an end is NaN."""
    ends = [min(max(end, 0.0), 1.0) if is_accuracy(score) else end for end in (low, high)]
    return "-" if math.isnan(low + high) else f"{number(score, ends[0])} to {number(score, ends[1])}"


def setting_text(value: Any) -> str:
    """A setting as a cell: numbers with four digits, "-" for a missing one."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return "-" if value is None or value != value else text.lower() if isinstance(value, bool) else text


def setting_label(head: str, value: Any) -> str:
    """Name and value, such as "lam 0.01"; a model or a stage speaks for itself."""
    return setting_text(value) if head in ("model", "stage") and value else f"{head} {setting_text(value)}"


def setting_axis(key: str, head: str) -> str:
    """The label of an axis: words for settings that are often searched, else the short name."""
    return _SETTINGS.get(key, capital(head))


def listed(parts: Sequence[str]) -> str:
    """For example "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def counted(n: int, noun: str) -> str:
    """For example "1 run" or "1,200 runs"."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def duration(seconds: float) -> str:
    """For example "8.3 s", "12 min" or "1 h 05 min"."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min" if seconds >= 59.95 else f"{seconds:.1f} s"


def capital(text: str) -> str:
    """The text with its first letter a capital."""
    return text[:1].upper() + text[1:]
