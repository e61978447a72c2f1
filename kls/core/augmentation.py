"""Horizontal flips and translations of pictures, as index maps into a flattened picture.

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
        """For n pictures, the row of ``index_maps`` that each one takes, shape (n,)."""
        side = 2 * self.reach + 1
        flipped = rng.random(n) < self.flip
        moved = rng.random(n) < self.translate
        shifts = rng.integers(0, side * side, n)
        unmoved = self.reach * side + self.reach
        return flipped * side * side + np.where(moved, shifts, unmoved)

    def index_maps(self, image_shape: tuple[int, int, int]) -> np.ndarray:
        """For each flip and shift, which flat source pixel fills each flat pixel: (n_views, d).

        image_shape: (channels, height, width). -1 stands for an uncovered pixel.
        """
        channels, height, width = image_shape
        source = np.full((channels, height + 2 * self.reach, width + 2 * self.reach), -1, np.intp)
        inner = slice(self.reach, self.reach + height), slice(self.reach, self.reach + width)
        source[:, *inner] = np.arange(channels * height * width).reshape(image_shape)
        offsets = range(2 * self.reach + 1)
        return np.stack(
            [
                flipped[:, dy : dy + height, dx : dx + width].reshape(-1)
                for flipped in (source, source[:, :, ::-1])
                for dy in offsets
                for dx in offsets
            ]
        )


def n_views(reach: int) -> int:
    """How many flips and shifts of a picture there are."""
    return 2 * (2 * reach + 1) ** 2


class Augmenter:
    """Applies drawn flips and shifts to batches of flattened pictures."""

    def __init__(self, augmentation: Augmentation, image_shape: tuple[int, int, int]) -> None:
        maps = augmentation.index_maps(image_shape)
        self.augmentation = augmentation
        self._covered = maps >= 0
        self._maps = np.maximum(maps, 0)

    def apply(self, x: np.ndarray, choice: np.ndarray, out: np.ndarray) -> None:
        """out (B, d) = the pictures x (B, d), each seen through the map ``choice`` (B,) names."""
        index = self._maps[choice]
        index += np.arange(len(x))[:, None] * x.shape[1]
        np.take(x.reshape(-1), index, out=out, mode="clip")
        out *= self._covered[choice]

    def applied(self, x: np.ndarray, choice: np.ndarray) -> np.ndarray:
        """All of the pictures x (N, d), as many as there are, each through the map ``choice`` (N,) names."""
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
