"""OpenBLAS, as numpy's wheel brings it."""

import numpy


def openblas_version() -> str:
    blas = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{numpy.__version__}, {blas['name']} {blas['version']}"
