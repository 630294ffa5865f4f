"""Pipelines: commands of `nmt` that follow each other, and the report of their results."""
