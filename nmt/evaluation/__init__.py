"""Evaluation of translations: scores with signatures, confidence intervals and significance tests."""
