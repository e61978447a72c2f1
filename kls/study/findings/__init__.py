"""What is computed from the runs of a step: one file a kind of finding."""
