"""Recipe to components, and back: the only place that knows both.

material.py: the recipe's data and subwords as vocabularies and stores; model.py: its stacks as a model;
claim.py: whose a run directory is; task.py, epochs.py: what a task brings to the loop; experiment.py:
a run, from training to the test score; language_model.py: what a language model has of its own; artifact.py:
models on disk; translating.py: from these to a job.
"""
