"""The same figures as kernelsBench.ts from PyTorch, where it is installed with CUDA: dense matmul by cuBLAS, attention, copy."""
import json
import statistics
import time

import torch

RUNS, CALLS = 11, 10


def measure(name, unit, work, call):
    call()
    torch.cuda.synchronize()
    rates = []
    for _ in range(RUNS):
        started = time.perf_counter()
        for _ in range(CALLS):
            call()
        torch.cuda.synchronize()
        rates.append(work * CALLS / (time.perf_counter() - started) / (1e9 if unit == "GB/s" else 1e12))
    low, middle, high = statistics.quantiles(rates, n=4)
    print(json.dumps({"bench": f"torch {torch.__version__}", "case": name, "value": round(middle, 2), "unit": unit, "runs": RUNS, "spread": round((high - low) / 2, 2)}))


n = 4096
for dtype in (torch.float32, torch.bfloat16):
    kind = str(dtype).split(".")[1]
    a, b = (torch.randn(n, n, device="cuda", dtype=dtype) for _ in range(2))
    measure(f"matmul {n}³, {kind}", "TFLOP/s", 2 * n**3, lambda: a @ b)
    x, w = torch.randn(65536, 1024, device="cuda", dtype=dtype), torch.randn(1024, 2048, device="cuda", dtype=dtype)
    measure(f"dense matmul 65536 × 1024 to 2048, {kind}", "TFLOP/s", 2 * 65536 * 1024 * 2048, lambda: x @ w)
    q, k, v = (torch.randn(4, 16, 4096, 64, device="cuda", dtype=dtype) for _ in range(3))
    measure(f"causal attention, 4 × 4096 tokens, 16 heads of 64, {kind}", "TFLOP/s", 2 * 4 * 16 * 4096 * 4096 * 64,
            lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True))
x = torch.randn(65536 * 1024, device="cuda")
y = torch.empty_like(x)
measure("copy of 268435456 bytes", "GB/s", 8 * x.numel(), lambda: y.copy_(x))
