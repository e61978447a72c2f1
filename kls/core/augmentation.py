"""Horizontal flips and translations of pictures.

A translated picture's uncovered pixels are 0, which for standardised inputs is the mean pixel of the
training split.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BLOCK_ROWS = 1000


@dataclass(frozen=True)
class Augmentation:
    """flip: probability of a mirror image. translate: probability of a shift of up to ``reach`` pixels
    (uniform, -reach..reach on each axis)."""

    flip: float = 0.0
    translate: float = 0.0
    reach: int = 0

    @property
    def enabled(self) -> bool:
        return self.flip > 0.0 or (self.translate > 0.0 and self.reach > 0)

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """For n pictures, the view that each one takes, shape (n,): by flip, then rows, then columns of the shift."""
        side = 2 * self.reach + 1
        flipped = rng.random(n) < self.flip
        moved = rng.random(n) < self.translate
        shifts = rng.integers(0, side * side, n)
        unmoved = self.reach * side + self.reach
        return flipped * side * side + np.where(moved, shifts, unmoved)


def n_views(reach: int) -> int:
    """How many flips and shifts of a picture there are."""
    return 2 * (2 * reach + 1) ** 2


class Augmenter:
    """Applies drawn flips and shifts to batches of flattened pictures of ``image_shape`` (channels, height, width)."""

    def __init__(self, augmentation: Augmentation, image_shape: tuple[int, int, int]) -> None:
        self.augmentation, self._shape = augmentation, image_shape
        self._framed: np.ndarray | None = None  # pictures (B, C, H + 2 reach, W + 2 reach), framed by uncovered pixels

    def apply(self, x: np.ndarray, choice: np.ndarray, out: np.ndarray) -> None:
        """out (B, d) = the pictures x (B, d), each as the view that choice (B,) names: a window of its frame."""
        (_, height, width), reach = self._shape, self.augmentation.reach
        flipped, window = np.divmod(choice, n_views(reach) // 2)
        down, right = np.divmod(window, 2 * reach + 1)
        framed, seen = self._frame(x), out.reshape(len(x), *self._shape)
        views = zip(framed, seen, flipped.tolist(), down.tolist(), right.tolist(), strict=True)
        for picture, view, flip, dy, dx in views:
            view[:] = (picture[:, :, ::-1] if flip else picture)[:, dy : dy + height, dx : dx + width]

    def _frame(self, x: np.ndarray) -> np.ndarray:
        """x (B, d) in frames; the buffer is kept, since all batches of a training have one size."""
        (channels, height, width), reach = self._shape, self.augmentation.reach
        shape = (len(x), channels, height + 2 * reach, width + 2 * reach)
        if self._framed is None or self._framed.shape != shape or self._framed.dtype != x.dtype:
            self._framed = np.zeros(shape, x.dtype)
        self._framed[:, :, reach : reach + height, reach : reach + width] = x.reshape(len(x), *self._shape)
        return self._framed

    def applied(self, x: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """All of the pictures x (N, d), as many as there are, each as the view that choice (N,) names."""
        seen = np.empty_like(x)
        for start in range(0, len(x), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            self.apply(x[rows], choice[rows], seen[rows])
        return seen


def augment_share(
    x: np.ndarray, augmentation: Augmentation, share: float, image_shape: tuple[int, int, int], rng: np.random.Generator
) -> np.ndarray:
    """A copy of x (N, d) in which a random ``share`` of the pictures is augmented."""
    augmenter = Augmenter(augmentation, image_shape)
    result = x.copy()
    chosen = np.sort(rng.permutation(len(x))[: round(share * len(x))])
    result[chosen] = augmenter.applied(x[chosen], augmentation.draw(rng, len(chosen)))
    return result
