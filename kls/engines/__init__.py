"""Where populations are trained: processes of this machine, a Ray cluster, or SLURM."""
