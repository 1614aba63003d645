"""PyTorch's side of `npm run bench:peers -- train`: the decoder of toolkit/models/transformer.ts and its training step."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import Callable

import numpy
import torch
import torch.nn.functional as F
from experts import count_experts, grouped_products, loop_over_experts, sorted_slices
from worker import WARM_UP_S, Form, Reference, relative_distance, serve_cases

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
FIRST_STEP_LIMIT_S = 300
STACKED_EXPERTS = ("experts.gateUp", "experts.down")


def rotary_angles(config: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine [T, 1, D/2], from doubles."""
    T, half = config["contextLength"], config["headSize"] // 2
    frequency = config["ropeBase"] ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(T, dtype=torch.float64)[:, None, None] * frequency
    return angles.cos().float(), angles.sin().float()


def rotary(x: torch.Tensor, angles: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """x [B, T, heads, D]; pairs are (i, i + D/2)."""
    (cos, sin), (first, second) = angles, x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class Model:
    """Weights by our names. With separate experts, those of each expert are tensors of their own: autograd then
    needn't put their gradients together."""

    def __init__(self, reference: Reference, experts: Callable, is_stacked: bool):
        self.config, self.experts = reference.settings["config"], experts
        self.angles = rotary_angles(self.config)
        self.weights: dict[str, torch.Tensor | list[torch.Tensor]] = {}
        for name, array in reference.arrays.items():
            if not name.startswith("weight."):
                continue
            value, name = torch.from_numpy(array.copy()), name[len("weight.") :]
            is_split = name.endswith(STACKED_EXPERTS) and not is_stacked
            self.weights[name] = [part.clone().requires_grad_() for part in value] if is_split else value.requires_grad_()

    def parameters(self) -> list[torch.Tensor]:
        return [part for weight in self.weights.values() for part in (weight if isinstance(weight, list) else [weight])]

    def arrays(self, value_of: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, numpy.ndarray]:
        """What value_of gives for each weight, by our names and in our shapes."""
        joined = lambda weight: torch.stack([value_of(part) for part in weight]) if isinstance(weight, list) else value_of(weight)
        return {name: joined(weight).detach().numpy().copy() for name, weight in self.weights.items()}

    def attend(self, x: torch.Tensor, B: int, T: int, layer: str) -> torch.Tensor:
        heads = lambda name: (x @ self.weights[layer + name]).view(B, T, self.config["numHeads"], self.config["headSize"])
        query, key = rotary(heads("query"), self.angles), rotary(heads("key"), self.angles)
        mixed = F.scaled_dot_product_attention(query.transpose(1, 2), key.transpose(1, 2), heads("value").transpose(1, 2), is_causal=True)
        return mixed.transpose(1, 2).reshape(B * T, -1) @ self.weights[layer + "output"]

    def mix_experts(self, x: torch.Tensor, layer: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """y and the layer's balance and z-loss."""
        moe = self.config["moe"]
        logits = x @ self.weights[layer + "router.gate"]
        probabilities = logits.softmax(-1)
        weights, ids = probabilities.topk(moe["expertsPerToken"], dim=-1)
        if moe["router"]["renormalize"]:
            weights = weights / weights.sum(-1, keepdim=True)
        y = self.experts(x, ids, weights, self.weights[layer + "experts.gateUp"], self.weights[layer + "experts.down"])
        share = count_experts(ids, moe["numExperts"]) / ids.numel()
        balance = moe["numExperts"] * (share * probabilities.mean(0)).sum()
        return y, balance, logits.logsumexp(-1).square().mean()

    def losses(self, inputs: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        (B, T), (C, L) = inputs.shape, (self.config["width"], self.config["numLayers"])
        norm = lambda x, name: F.rms_norm(x, (C,), self.weights[name], self.config["normEpsilon"])
        x = F.embedding(inputs.flatten(), self.weights["embedding"])
        balances, z_losses = [], []
        for i in range(L):
            layer = f"layers.{i}."
            x = x + self.attend(norm(x, layer + "attentionNorm"), B, T, layer + "attention.")
            y, balance, z = self.mix_experts(norm(x, layer + "moeNorm"), layer + "moe.")
            x = x + y
            balances.append(balance)
            z_losses.append(z)
        nats = F.cross_entropy(norm(x, "finalNorm") @ self.weights["embedding"].T, targets)
        balance, z = torch.stack(balances).mean(), torch.stack(z_losses).mean()
        moe = self.config["moe"]
        total = nats + moe["balanceLossWeight"] * balance + moe["zLossWeight"] * z
        return {"total": total, "crossEntropy": nats, "balance": balance, "z": z}


class Trainer:
    def __init__(self, reference: Reference, experts: Callable, is_stacked: bool, optimizer_form: str, is_compiled: bool = False):
        self.reference, self.settings = reference, reference.settings
        self.inputs = torch.from_numpy(reference.arrays["inputs"]).long()
        self.targets = torch.from_numpy(reference.arrays["targets"]).long()
        self.model = Model(reference, experts, is_stacked)
        self.losses = torch.compile(self.model.losses, fullgraph=True) if is_compiled else self.model.losses
        decay = self.settings["weightDecay"]
        groups = [{"params": [], "weight_decay": decay}, {"params": [], "weight_decay": 0.0}]
        for parameter in self.model.parameters():
            groups[0 if parameter.dim() > 1 else 1]["params"].append(parameter)
        betas = (self.settings["beta1"], self.settings["beta2"])
        self.optimizer = torch.optim.AdamW(
            groups, lr=self.settings["measuredLearningRate"], betas=betas, eps=self.settings["adamEpsilon"], **{optimizer_form: True}
        )

    def backward(self) -> dict[str, torch.Tensor]:
        losses = self.losses(self.inputs, self.targets)
        losses["total"].backward()
        return losses

    def update(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings["maxGradientNorm"], foreach=True)
        self.optimizer.step()

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.backward()["crossEntropy"].item()
        self.update()

    def check(self) -> dict[str, float]:
        """Losses, gradients and the change of the weights in one update, against ours."""
        before = self.model.arrays(lambda weight: weight)
        losses = {f"loss.{name}": loss.detach().numpy() for name, loss in self.backward().items()}
        none_is_zero = lambda weight: torch.zeros_like(weight) if weight.grad is None else weight.grad
        gradients = {f"gradient.{name}": array for name, array in self.model.arrays(none_is_zero).items()}
        distances = {}
        for name, result in {**losses, **gradients}.items():
            distances[name] = relative_distance(result, self.reference.arrays[f"expected.{name}"])
        self.set_learning_rate(self.settings["checkedLearningRate"])
        self.update()
        for name, after in self.model.arrays(lambda weight: weight).items():
            ours = self.reference.arrays[f"expected.updated.{name}"]
            distances[f"update.{name}"] = relative_distance(after - before[name], ours - before[name])
        return distances

    def set_learning_rate(self, learning_rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate

    def measure_ms(self, runs: int) -> list[float]:
        started = time.perf_counter()
        self.step()
        while time.perf_counter() - started < WARM_UP_S:
            self.step()
        times = []
        for _ in range(runs):
            started = time.perf_counter()
            self.step()
            times.append(1000 * (time.perf_counter() - started))
        return times


@dataclass
class Variant:
    """One of the usual ways to write the step."""

    peer: str
    name: str
    build: Callable[[], Trainer]


kept: dict[str, tuple[str, Trainer]] = {}
"""The trainer last measured of each peer, by the peer: with all variants at once the large models would fill the memory."""


def measure_ms(variant: Variant, runs: int) -> list[float]:
    name, trainer = kept.get(variant.peer, (None, None))
    if name != variant.name:
        kept.pop(variant.peer, None)
        trainer = variant.build()
        trainer.step()
        kept[variant.peer] = (variant.name, trainer)
    return trainer.measure_ms(runs)


def works(variant: Variant) -> bool:
    """Runs one step, which also compiles; says why it can't."""

    def stop(*_):
        raise TimeoutError(f"the first step took more than {FIRST_STEP_LIMIT_S} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(FIRST_STEP_LIMIT_S)
    started = time.perf_counter()
    try:
        variant.build().step()
        print(f"{variant.peer}, {variant.name}: first step {time.perf_counter() - started:.1f} s", file=sys.stderr)
        return True
    except Exception as error:  # whatever PyTorch or its compiler says: the variant is left out and the reason shown
        print(f"{variant.peer}, {variant.name} is left out: {type(error).__name__}: {str(error)[:500]}", file=sys.stderr)
        return False
    finally:
        signal.alarm(0)


def check(variant: Variant) -> dict[str, float]:
    return variant.build().check()


def variants(reference: Reference) -> list[Variant]:
    def variant(peer: str, name: str, experts: Callable, is_stacked: bool, optimizer: str, is_compiled: bool = False) -> Variant:
        return Variant(peer, f"{name}, {optimizer} AdamW", lambda: Trainer(reference, experts, is_stacked, optimizer, is_compiled))

    eager = [
        variant("PyTorch eager", name, experts, is_stacked, optimizer)
        for optimizer in ("fused", "foreach")
        for name, experts, is_stacked in (
            ("loop over experts", loop_over_experts, False),
            ("sorted slices", sorted_slices, False),
            ("grouped_mm", grouped_products, True),
        )
    ]
    if os.environ["PEERS_COMPILE"] != "1":
        return eager
    return [*eager, variant("PyTorch compiled", "grouped_mm", grouped_products, True, "fused", is_compiled=True)]


def prepare(reference: Reference) -> list[Form]:
    kept.clear()
    return [
        Form(variant.peer, torch.__version__, variant.name, partial(check, variant), partial(measure_ms, variant))
        for variant in variants(reference)
        if works(variant)
    ]


serve_cases(prepare)
