"""Studies: grids of training runs, and their reports."""
