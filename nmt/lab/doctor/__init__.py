"""Diagnosis of recipes, corpora and runs."""
