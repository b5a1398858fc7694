"""Split protocols of COCO 2014: each says which image trains, selects, is searched, and asks."""
