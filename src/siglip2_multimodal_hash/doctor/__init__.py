"""What is missing for the dataset, the backbone and the hardware in force, each with its remedy."""
