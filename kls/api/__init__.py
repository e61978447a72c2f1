"""What Python code and notebooks use: runs and sweeps by call, trained runs that predict, a scikit-learn classifier."""
