"""One population's training: session, jobs in processes, pruning, snapshots, signals."""
