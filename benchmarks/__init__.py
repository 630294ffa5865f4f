"""Measurements: two things side by side in one run, printed as ratios."""
