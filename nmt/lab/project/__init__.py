"""Directories that `nmt new` makes of pairs: clean, split, with a recipe that fits them."""
