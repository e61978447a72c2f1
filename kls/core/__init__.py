"""The numerical core. It imports NumPy alone and knows neither files nor configuration.

Shapes are written with B pictures in a mini-batch, K members of the population, d input
dimensions, m and n units of neighbouring layers and C classes.
"""
