"""Measures training speed beside the bare matrix products, PyTorch, JAX and scikit-learn."""
