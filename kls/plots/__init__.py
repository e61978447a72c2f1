"""Figures of arrays and texts. Only this package imports matplotlib, slow to import: import its modules where used."""
