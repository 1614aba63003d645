"""The peers' side of a comparison: prepares and measures cases as peers.mjs asks, a JSON object a line in and out.

A bench gives `prepare(reference) -> list[Form]`; worker.ts says what a reference is.
"""

import json
import sys
import time
from dataclasses import dataclass
from typing import Callable

import numpy

WARM_UP_S = 0.2
"""A process that waited for its turn has its threads asleep and its caches filled by others."""
SHORTEST_RUN_S = 0.01


@dataclass
class Form:
    """One way for a peer to do the work of a case."""

    peer: str
    peer_version: str
    name: str
    check: Callable[[], dict[str, float]]
    """Relative L2 distance of each result from the reference."""
    measure_ms: Callable[[int], list[float]]
    """Milliseconds of each of so many runs, after warming up."""


@dataclass
class Reference:
    arrays: dict[str, numpy.ndarray]
    settings: dict

    def distances(self, results: dict[str, numpy.ndarray], prefix: str = "expected.") -> dict[str, float]:
        """Relative L2 distance from every expected array; all of them must be among the results."""
        expected = {name[len(prefix) :]: array for name, array in self.arrays.items() if name.startswith(prefix)}
        return {name: relative_distance(results[name], array) for name, array in expected.items()}


def relative_distance(result: numpy.ndarray, expected: numpy.ndarray) -> float:
    if result.shape != expected.shape:
        return float("inf")
    difference = numpy.linalg.norm((result.astype(numpy.float64) - expected).ravel())
    return float(difference / max(numpy.linalg.norm(expected.astype(numpy.float64).ravel()), 1e-30))


def read_safetensors(path: str) -> Reference:
    """Format: huggingface/safetensors, section Format of its README."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    settings = json.loads(header.pop("__metadata__")["settings"])
    arrays = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        dtype = {"F32": "<f4", "I32": "<i4"}[entry["dtype"]]
        arrays[name] = numpy.frombuffer(data[start:end], dtype).reshape(entry["shape"]).copy()
    return Reference(arrays, settings)


def repeated_times_ms(runs: int, call: Callable[[], object]) -> list[float]:
    """Milliseconds of one call, from runs of so many calls that each is long enough to measure."""
    repeats = 1

    def time_run() -> float:
        started = time.perf_counter()
        for _ in range(repeats):
            call()
        return time.perf_counter() - started

    started = time.perf_counter()
    while (elapsed := time_run()) < SHORTEST_RUN_S or time.perf_counter() - started < WARM_UP_S:
        if elapsed < SHORTEST_RUN_S:
            repeats *= 2
    return [1000 * time_run() / repeats for _ in range(runs)]


def serve_cases(prepare: Callable[[Reference], list[Form]]) -> None:
    """Answers requests on standard input until it ends."""
    forms: list[Form] = []
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "prepare":
            forms = prepare(read_safetensors(request["file"]))
            answer = {"forms": [{"peer": form.peer, "peerVersion": form.peer_version, "name": form.name, "distances": form.check()} for form in forms]}
        else:
            answer = {"timesMs": forms[request["form"]].measure_ms(request["runs"])}
        print(json.dumps(answer), flush=True)
