"""kls: hyperparameter sweeps for K-layer fully connected networks in NumPy."""

from kls import blas_kernels

__version__ = "0.1.0"

blas_kernels.choose()  # here, since it must come before anything imports NumPy
