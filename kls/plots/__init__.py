"""Figures of runs. Only this package imports matplotlib, slow to import: import its modules where used."""
