"""The rows of ``configs/ablations.yaml`` as tracked experiments, and tables of them."""
