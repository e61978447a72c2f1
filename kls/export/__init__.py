"""Hands runs to programs that keep records of experiments."""
