"""Data sets: CIFAR-10, synthetic pictures, their splits and standardisation."""
