"""Features that somebody else's towers made, taken over in the place of ``embed``'s own."""
