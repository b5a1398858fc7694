"""References for a head's figures: classifiers, the head with less, untrained codes."""
