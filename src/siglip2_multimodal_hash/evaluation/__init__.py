"""Figures: classification, ranking, code quality, baselines."""
