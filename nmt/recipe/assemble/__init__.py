"""Recipe to components, and back: the only place that knows both.

material.py: the recipe's data and subwords as vocabularies and stores; model.py: its encoder and decoder as a
translator; experiment.py: a run, from training to the test score; artifact.py: models on disk.
"""
