"""The usual ways to write a dropless expert layer in PyTorch.

Each takes x [N, C], ids [N, K], weights [N, K] and the experts' gate_up [C, 2H] and down [H, C]: a list with an entry
an expert, or one stacked tensor where it says so. Each gives [N, C].
"""

import torch
import torch.nn.functional as F


def swiglu(x: torch.Tensor, gate_up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    gate, up = (x @ gate_up).chunk(2, dim=-1)
    return (F.silu(gate) * up) @ down


def loop_over_experts(x, ids, weights, gate_up, down):
    """As in HuggingFace's Mixtral: each expert finds its tokens and adds its result to theirs."""
    y = torch.zeros_like(x)
    for expert in range(len(gate_up)):
        token, choice = torch.where(ids == expert)
        if len(token) > 0:
            out = swiglu(x.index_select(0, token), gate_up[expert], down[expert])
            y.index_add_(0, token, out * weights[token, choice, None])
    return y


def count_experts(ids, num_experts):
    """Assignments of each expert, [E]; torch.bincount would break a compiled graph."""
    flat = ids.flatten()
    return torch.zeros(num_experts, dtype=flat.dtype).scatter_add_(0, flat, torch.ones_like(flat))


def sort_tokens(x, ids):
    """Rows of x by expert, and the row of each (token, choice)."""
    order = ids.flatten().argsort(stable=True)
    row_of = torch.empty_like(order)
    row_of[order] = torch.arange(len(order))
    return x.index_select(0, order // ids.shape[1]), row_of


def weighted_sum(rows, row_of, weights):
    N, K = weights.shape
    return (rows.index_select(0, row_of).view(N, K, -1) * weights.unsqueeze(-1)).sum(1)


def sorted_slices(x, ids, weights, gate_up, down):
    """Tokens sorted by expert once; each expert takes its slice."""
    rows, row_of = sort_tokens(x, ids)
    counts = count_experts(ids, len(gate_up)).tolist()
    out = [swiglu(part, gate_up[e], down[e]) for e, part in enumerate(rows.split(counts)) if len(part) > 0]
    return weighted_sum(torch.cat(out), row_of, weights)


def grouped_products(x, ids, weights, gate_up, down):
    """Tokens sorted by expert and PyTorch's grouped product; gate_up [E, C, 2H], down [E, H, C] stacked."""
    rows, row_of = sort_tokens(x, ids)
    ends = count_experts(ids, len(gate_up)).cumsum(0).to(torch.int32)
    gate, up = torch._grouped_mm(rows, gate_up, offs=ends).chunk(2, dim=-1)
    return weighted_sum(torch._grouped_mm(F.silu(gate) * up, down, offs=ends), row_of, weights)
