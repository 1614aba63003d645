"""The floor of `npm run bench:peers -- train`: OpenBLAS's time for the products with weights of a step, and for nothing else."""

from dataclasses import dataclass
from functools import partial

import numpy
from openblas import openblas_version
from worker import Form, Reference, repeated_times_ms, serve_cases


@dataclass
class Linear:
    """y = x w with its two gradients. The gradient of y has y's memory, as in a step that keeps no y."""

    x: numpy.ndarray
    w: numpy.ndarray
    y: numpy.ndarray
    dx: numpy.ndarray
    dw: numpy.ndarray

    def forward(self) -> None:
        numpy.dot(self.x, self.w, out=self.y)

    def backward(self) -> None:
        numpy.dot(self.y, self.w.T, out=self.dx)  # sgemm takes transposes as they are
        numpy.dot(self.x.T, self.y, out=self.dw)


def linear(product: dict, random: numpy.random.Generator) -> Linear:
    rows, inner, columns = product["rows"], product["inner"], product["columns"]
    x = random.standard_normal((rows, inner), numpy.float32)
    w = random.standard_normal((inner, columns), numpy.float32) / numpy.float32(inner**0.5)
    return Linear(x, w, numpy.empty((rows, columns), numpy.float32), numpy.empty_like(x), numpy.empty_like(w))


def step(linears: list[Linear]) -> None:
    for one in linears:
        one.forward()
    for one in reversed(linears):
        one.backward()


def check(linears: list[Linear], forward_flops: float) -> dict[str, float]:
    """How far the products are from all the work with weights that the model's own count finds."""
    flops = sum(2 * one.x.size * one.w.shape[1] for one in linears)
    return {"FLOPs of the products": abs(flops / forward_flops - 1)}


def prepare(reference: Reference) -> list[Form]:
    floor = reference.settings["floor"]
    random = numpy.random.default_rng(1)
    linears = [linear(product, random) for product in floor["products"]]
    measure_ms = partial(repeated_times_ms, call=partial(step, linears))
    return [Form("OpenBLAS floor", openblas_version(), "products with weights alone", partial(check, linears, floor["flops"]), measure_ms)]


serve_cases(prepare)
