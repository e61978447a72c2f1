"""Learning curves of one run: cost, loss, accuracy and learning rate against the epoch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kls.plots.colours import BLACK, GREY, YELLOW
from kls.plots.learning_curves import draw_line, set_epochs, set_values
from kls.plots.style import PNG, figure_style, new_figure, save


@figure_style()
def plot_run_curves(history: Mapping[str, np.ndarray], path: Path, title: str, formats: Sequence[str] = PNG) -> None:
    """Write a figure of four panels: cost, loss, accuracy and learning rate.

    `history` maps every name in `names.HISTORY_COLUMNS` to an array (n,), one entry for each evaluation, n >= 1;
    losses and costs in nats, accuracies in percent. The axes of a run that diverges are limited to its sound part: an
    arrow shows where a line leaves them, and the legend says how many evaluations they do not show.
    """
    epoch, accuracy = history["epoch"], history["val_accuracy"]
    figure = new_figure(4.6)
    panels = figure.subplots(2, 2, sharex=True).ravel()
    hidden = np.zeros(epoch.shape, dtype=bool)
    for axes, quantity in zip(panels, ("cost", "loss", "accuracy"), strict=False):
        pair = [history[f"{split}_{quantity}"][None] for split in ("train", "val")]
        low, high = set_values(axes, pair, quantity)
        for number, values in enumerate(pair):
            draw_line(axes, epoch, values, number, 2)[0].set_label(("training", "validation")[number])
            hidden |= ~((values[0] >= low) & (values[0] <= high))
        axes.set_title(quantity.capitalize() + " (%)" * (quantity == "accuracy"))
    if np.isfinite(accuracy).any():
        x, y = epoch[np.nanargmax(accuracy)], np.nanmax(accuracy)
        (star,) = panels[2].plot(x, y, "*", color=YELLOW, label=f"best validation: {y:.2f} % at epoch {x:.4g}")
        star.set(markeredgecolor=BLACK, markersize=12.0, zorder=7.0)
    if hidden.any():
        note = f"{hidden.sum()} of {hidden.size} evaluations are off the scale or not finite"
        panels[2].plot([], [], "^", color=GREY, label=note)
    panels[3].plot(epoch, history["eta"], color=GREY, marker="." if epoch.size == 1 else "")
    panels[3].set(title="Learning rate", ylim=(0.0, 1.08 * float(history["eta"].max()) or 1.0))
    for axes in panels[2:]:
        set_epochs(axes, epoch)
    save(figure, path, title, formats)
