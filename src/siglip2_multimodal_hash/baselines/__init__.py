"""What a head's figures are read against: classifiers, the head with less, untrained codes."""
