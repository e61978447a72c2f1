"""Measures training speed beside the bare matrix products, PyTorch and JAX."""
