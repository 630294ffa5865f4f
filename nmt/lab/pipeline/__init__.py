"""Pipelines: commands of `nmt` that depend on each other, and the report of their results."""
