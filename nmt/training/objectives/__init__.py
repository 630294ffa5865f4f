"""Training objectives: likelihood and its additions, R-Drop, minimum risk, noise."""
