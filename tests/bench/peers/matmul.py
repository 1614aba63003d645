"""The peers' side of `npm run bench:peers -- matmul`: torch.mm, and numpy with the OpenBLAS of its wheel."""

import os

import torch
from openblas import openblas_version
from worker import Form, Reference, repeated_times_ms, serve_cases

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def prepare(reference: Reference) -> list[Form]:
    a, b = reference.arrays["a"], reference.arrays["b"]
    torch_a, torch_b = torch.from_numpy(a), torch.from_numpy(b)

    def torch_times_ms(runs: int) -> list[float]:
        with torch.inference_mode():
            return repeated_times_ms(runs, lambda: torch.mm(torch_a, torch_b))

    return [
        Form("PyTorch", torch.__version__, "torch.mm", lambda: reference.distances({"product": torch.mm(torch_a, torch_b).numpy()}), torch_times_ms),
        Form("numpy", openblas_version(), "a @ b", lambda: reference.distances({"product": a @ b}), lambda runs: repeated_times_ms(runs, lambda: a @ b)),
    ]


serve_cases(prepare)
