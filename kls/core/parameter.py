"""Trained arrays of a population, and the blocks of memory that an optimizer updates at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass
class Parameter:
    """One parameter of all K members.

    name: "W1", "b1", "gamma1", "beta1", ...; layers count from 1.
    value, gradient: arrays of the same shape; axis ``member_axis`` has length K.
    penalised: whether the L2 term lam * sum(value**2) of the cost counts it.
    """

    name: str
    value: np.ndarray
    member_axis: int
    penalised: bool = False

    def __post_init__(self) -> None:
        self.gradient = np.zeros_like(self.value)

    def member(self, k: int) -> np.ndarray:
        """View of member k's values, without the member axis."""
        return np.moveaxis(self.value, self.member_axis, 0)[k]

    def sum_of_squares(self) -> np.ndarray:
        """Sum of the squared values of each member, shape (K,), float64."""
        by_member = np.moveaxis(self.value, self.member_axis, 0)
        return np.array([np.vdot(w, w) for w in by_member.astype(np.float64)])

    def keep(self, members: np.ndarray) -> None:
        """Drop every member but those with the given indices."""
        self.value = np.ascontiguousarray(self.value.take(members, self.member_axis))
        self.gradient = np.zeros_like(self.value)


PART = 1 << 16  # numbers that go through all of an update before the next ones do, so that caches hold them


class Block:
    """Parameters laid one after the other in one array, so that an update is a few operations, not a few each.

    The first layer's weights (d, K, m) make a block of their own shape; all other parameters, member
    axis first, share one flat block, the penalised ones in front. ``value`` and ``gradient`` are the
    block's arrays, of which the parameters' own become views; W1's are (d, K*m) here. ``parts`` are ranges of
    their first axis, each with whether it is penalised.
    ``factors``, where set, are x (B, d) and delta (B, K*m), whose product x^T delta is the gradient, which
    then has not been computed.
    """

    def __init__(self, name: str, parameters: Sequence[Parameter]) -> None:
        self.name = name
        self.factors: tuple[np.ndarray, np.ndarray] | None = None
        self.parameters = sorted(parameters, key=lambda p: not p.penalised)
        self.pack()

    def pack(self) -> None:
        """Take the parameters' arrays in, after they were made or lost members."""
        first = self.parameters[0]
        self._single = first.member_axis == 1
        self._n_members = first.value.shape[first.member_axis]
        if self._single:
            self.value, self.gradient = (a.reshape(len(a), -1) for a in (first.value, first.gradient))
            self.penalised_value = self.value
            self._members = np.repeat(np.arange(self._n_members), first.value.shape[2])
            self._n_penalised = len(self._members)
        else:
            self._join()
        self._broadcast = np.empty(len(self._members), self.value.dtype)
        self._broadcast_penalised = np.empty(self._n_penalised, self.value.dtype)
        self.parts = self._cut(0, len(self.penalised_value), True)
        self.parts += self._cut(len(self.penalised_value), len(self.value), False)

    def _cut(self, start: int, stop: int, penalised: bool) -> list[tuple[slice, bool]]:
        """Ranges of the first axis of at most `PART` numbers, and whether they are penalised."""
        rows = max(1, PART * len(self.value) // self.value.size)
        return [(slice(first, min(first + rows, stop)), penalised) for first in range(start, stop, rows)]

    def _join(self) -> None:
        self.value = np.concatenate([p.value.reshape(-1) for p in self.parameters])
        self.gradient = np.zeros_like(self.value)
        members = []
        start = 0
        for p in self.parameters:
            stop = start + p.value.size
            p.value = self.value[start:stop].reshape(p.value.shape)
            p.gradient = self.gradient[start:stop].reshape(p.value.shape)
            members.append(np.repeat(np.arange(self._n_members), p.value.size // self._n_members))
            start = stop
        self._members = np.concatenate(members)
        self._n_penalised = sum(p.value.size for p in self.parameters if p.penalised)
        self.penalised_value = self.value[: self._n_penalised]

    def broadcast(self, per_member: np.ndarray) -> np.ndarray | float:
        """One number a member, shape (K,), made to broadcast against ``value``; the next call takes the buffer."""
        return self._broadcast_to(per_member, self._broadcast)

    def broadcast_penalised(self, per_member: np.ndarray) -> np.ndarray | float:
        """The same against ``penalised_value``, with a buffer of its own."""
        return self._broadcast_to(per_member, self._broadcast_penalised)

    def _broadcast_to(self, per_member: np.ndarray, buffer: np.ndarray) -> np.ndarray | float:
        if self._n_members == 1 or (per_member == per_member[0]).all():
            return float(per_member[0])
        factor = per_member.astype(self.value.dtype)
        return np.take(factor, self._members[: len(buffer)], out=buffer, mode="clip")

    def part_of(self, broadcast: np.ndarray | float, part: slice) -> np.ndarray | float:
        """What of ``broadcast`` belongs to a part of ``value``."""
        return broadcast if self._single or isinstance(broadcast, float) else broadcast[part]

    def member_of(self, array: np.ndarray, k: int) -> np.ndarray:
        """Copy of member k's part of an array that is laid out as ``value``."""
        return array[..., self._members == k]

    def set_member(self, array: np.ndarray, k: int, part: np.ndarray) -> None:
        """Put back what ``member_of`` gave."""
        array[..., self._members == k] = part

    def keep_of(self, array: np.ndarray, members: np.ndarray) -> np.ndarray:
        """An array laid out as ``value`` without the members that are not given; before `pack` forgets them."""
        return np.ascontiguousarray(array[..., np.isin(self._members, members)])
