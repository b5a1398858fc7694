"""Memory: how much a run takes, by arithmetic, and how much there is; sizes in bytes."""
