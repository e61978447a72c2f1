"""Data sets: their sources, splits and standardisation."""
