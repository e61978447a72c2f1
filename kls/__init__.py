"""kls: hyperparameter sweeps for K-layer fully connected networks in NumPy."""

__version__ = "0.1.0"
