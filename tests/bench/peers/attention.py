"""PyTorch's side of `npm run bench:peers -- attention`: F.scaled_dot_product_attention(is_causal=True)."""

import os

import torch
import torch.nn.functional as F
from worker import Form, Reference, repeated_times_ms, serve_cases

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def prepare(reference: Reference) -> list[Form]:
    # Ours is [B, T, heads, D]; PyTorch's own order is [B, heads, T, D], which it gets without having to copy.
    heads_first = lambda name: torch.from_numpy(reference.arrays[name]).transpose(1, 2).contiguous()
    tokens_first = lambda tensor: tensor.detach().transpose(1, 2).numpy()
    inputs = {name: heads_first(name) for name in ("query", "key", "value")}
    if not reference.settings["backward"]:
        return [forward_form(reference, inputs, tokens_first)]
    for tensor in inputs.values():
        tensor.requires_grad_()
    dy = heads_first("dy")

    def gradients() -> tuple[torch.Tensor, ...]:
        y = F.scaled_dot_product_attention(*inputs.values(), is_causal=True)
        return torch.autograd.grad(y, tuple(inputs.values()), dy)

    def check() -> dict[str, float]:
        return reference.distances({name: tokens_first(gradient) for name, gradient in zip(inputs, gradients())})

    return [Form("PyTorch", torch.__version__, "scaled_dot_product_attention", check, lambda runs: repeated_times_ms(runs, gradients))]


def forward_form(reference: Reference, inputs: dict[str, torch.Tensor], tokens_first) -> Form:
    def forward() -> torch.Tensor:
        with torch.inference_mode():
            return F.scaled_dot_product_attention(*inputs.values(), is_causal=True)

    check = lambda: reference.distances({"y": tokens_first(forward())})
    return Form("PyTorch", torch.__version__, "scaled_dot_product_attention", check, lambda runs: repeated_times_ms(runs, forward))


serve_cases(prepare)
