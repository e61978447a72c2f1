"""What is measured: networks of conf/model, numbers of inputs, sizes of populations, and who trains them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from kls.errors import UserError
from kls.records.escape import shortened

MODELS = ("3layer", "3layer_bn", "9layer", "9layer_bn", "7layer_wide_bn", "7layer_wider_bn")
INPUTS = (3072, 537)  # the pixels; what is left of them by data.projection=0.99
POPULATIONS = (4, 10, 20, 40)
POPULATED_MODELS = ("3layer_bn", "9layer_bn")
VMAPPED = 10  # networks in JAX's population

OURS, FLOOR, TORCH, JAX, SKLEARN = "ours", "floor", "torch", "jax", "sklearn"
PEERS = (TORCH, JAX, SKLEARN)
SKLEARN_MODEL = "3layer"  # it has no batch norm


@dataclass(frozen=True)
class Work:
    """Networks to train: ``members`` of one shape on the same mini-batches of ``n_inputs`` numbers a picture."""

    model: str
    hidden: tuple[int, ...]
    bn: bool
    scheme: str
    n_inputs: int
    members: int = 1


@dataclass(frozen=True)
class Contender:
    """A library at some work."""

    library: str
    work: Work

    @property
    def process(self) -> str:
        """Which worker process it lives in: the floor shares ours, and so the BLAS."""
        return OURS if self.library == FLOOR else self.library


def read_work(conf: Path, model: str) -> Work:
    """The network of conf/model/<model>.yaml, alone, on all pixels. Raises UserError where there is none."""
    folder = conf / "model"
    there = sorted(path.stem for path in folder.glob("[!_]*.yaml"))
    if model not in there:
        given = shortened(model) or repr(model)
        raise UserError(f"--only {given}: there is no such model; there are {', '.join(there)}")
    base, own = (yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8")) for name in ("_base", model))
    bn, init = base["bn"] | own.get("bn", {}), base["init"] | own.get("init", {})
    return Work(model, tuple(own["hidden"]), bn["enabled"], init["scheme"], INPUTS[0])


def contenders(work: Work, populations: Sequence[int], peers: Sequence[str]) -> list[Contender]:
    """Who is measured side by side on one network and its populations, in the order of each round."""
    found = [Contender(OURS, work), Contender(FLOOR, work)]
    found += [Contender(peer, work) for peer in peers if peer != SKLEARN or work.model == SKLEARN_MODEL]
    if work.model in POPULATED_MODELS:
        for members in populations:
            together = Work(**vars(work) | {"members": members})
            found += [Contender(OURS, together), Contender(FLOOR, together)]
            if members == VMAPPED and JAX in peers:
                found.append(Contender(JAX, together))
    return found
