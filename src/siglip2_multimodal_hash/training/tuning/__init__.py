"""The towers in the loop: trained with a copy of the head, then saved as a checkpoint."""
