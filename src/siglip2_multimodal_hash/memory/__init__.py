"""Memory that a run takes, by arithmetic, and memory that there is; sizes in bytes."""
