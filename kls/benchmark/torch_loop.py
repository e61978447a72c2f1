"""A plain PyTorch training loop at the benchmark's task: eager, one thread, as quick as plain code gets.

Mini-batches are gathered by index_select, gradients are dropped rather than zeroed, SGD is the fused one
(the fastest of its three on a CPU), and the L2 factor is weight_decay = 2 lam on the weights alone.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from kls.benchmark.task import BN_EPSILON, BN_MOMENTUM, N_CLASSES, Task

VERSION = str(torch.__version__)


class TorchLoop:
    """One network of nn.Linear, nn.BatchNorm1d and nn.ReLU."""

    def __init__(self, task: Task) -> None:
        torch.set_num_threads(1)
        self.task, self.step = task, 0
        self.x, self.labels = torch.from_numpy(task.x), torch.from_numpy(task.labels)
        self.linear: list[nn.Linear] = []
        layers: list[nn.Module] = []
        for weights in task.weights():
            hidden = len(self.linear) < len(task.work.hidden)
            linear = nn.Linear(*weights.shape, bias=not (task.work.bn and hidden))
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(weights.T))
                if linear.bias is not None:
                    linear.bias.zero_()
            self.linear.append(linear)
            layers.append(linear)
            if hidden and task.work.bn:
                layers.append(nn.BatchNorm1d(weights.shape[1], eps=BN_EPSILON, momentum=1.0 - BN_MOMENTUM))
            if hidden:
                layers.append(nn.ReLU())
        assert self.linear[-1].out_features == N_CLASSES
        self.network = nn.Sequential(*layers)
        penalised = [linear.weight for linear in self.linear]
        others = [p for p in self.network.parameters() if all(p is not w for w in penalised)]
        self.optimizer = torch.optim.SGD(
            [{"params": penalised, "weight_decay": 2.0 * task.lam}, {"params": others}], lr=0.0, fused=True
        )

    def advance(self, steps: int) -> None:
        """Train for so many steps."""
        rows = torch.from_numpy(self.task.rows(self.step, steps))
        rates = self.task.rates[self.step : self.step + steps].tolist()
        self.network.train()
        for chosen, eta in zip(rows, rates, strict=True):
            for group in self.optimizer.param_groups:
                group["lr"] = eta
            self.optimizer.zero_grad(set_to_none=True)
            logits = self.network(self.x.index_select(0, chosen))
            nn.functional.cross_entropy(logits, self.labels.index_select(0, chosen)).backward()
            self.optimizer.step()
        self.step += steps

    def weights(self) -> list[np.ndarray]:
        """One (rows, columns) array a layer."""
        return [linear.weight.detach().numpy().T.copy() for linear in self.linear]

    def accuracy(self, x: torch.Tensor, labels: torch.Tensor) -> float:
        """Share of right answers on x (N, d)."""
        self.network.eval()
        with torch.no_grad():
            return float((self.network(x).argmax(dim=1) == labels).double().mean())
