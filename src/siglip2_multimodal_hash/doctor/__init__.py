"""Checks of what the dataset, backbone and hardware in force need, each with its remedy."""
