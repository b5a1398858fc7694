"""Tags and neighbours of photos that are in no dataset, from the outputs of a finished run."""
