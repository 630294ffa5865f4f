"""`nmt tune`: choice of the search, and calibration of quality estimates, on validation pairs."""
