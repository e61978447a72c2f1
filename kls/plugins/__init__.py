"""What this project adds to Hydra: plugins, found through the entry-point group ``hydra.plugins``, and checks."""
