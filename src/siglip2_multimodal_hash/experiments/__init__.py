"""Tracked experiments: rows of ``configs/ablations.yaml``, their runs, tables, comparisons."""
