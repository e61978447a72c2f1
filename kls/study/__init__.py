"""Studies: what they are, how they are run, and their pages."""
