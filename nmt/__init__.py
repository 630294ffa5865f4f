"""Recurrent neural machine translation whose cells are written as their gate equations.

Shape letters used in comments and docstrings everywhere:
B sentences in a batch, S source positions, T target positions, E embedding, H hidden,
G gates, V vocabulary, K beam width.
"""

__version__ = "0.1.0"
