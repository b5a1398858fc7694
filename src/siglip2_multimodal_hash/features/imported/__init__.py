"""Features of other towers, imported in the place of ``embed``'s own."""
