"""Recipe to components, and back: the only place that knows both.

From a recipe:   material.py (vocabularies, encoded pairs), shortlist.py, model.py, objective.py,
                 own_cells.py, start.py (another run's weights)
A run of it:     lock.py and claim.py (whose a directory is), task.py and epochs.py (what a task brings to
                 the one loop), observing.py, experiment.py (training to test score), language_model.py
From a run:      home.py, artifact.py (models on disk), translating.py (to a job)
Looking at it:   rehearsal.py and checkup.py (`nmt doctor`), verify.py, looking.py, gradients.py
Many runs:       matching.py (models of one size), grid.py (each in its process), study.py (to the report)
"""
