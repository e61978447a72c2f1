"""Plugins for Hydra, found through the entry-point group ``hydra.plugins``."""
