"""Figures: classification, ranking, code quality."""
