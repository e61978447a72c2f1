"""Settings and their validation, Hydra's entry, and the way from settings to objects."""
