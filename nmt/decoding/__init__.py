"""From a model to text: the search, the translation job, and how its results are written."""

LONGEST_PART = 200  # source tokens translated at once by default; longer lines are translated in parts
READ_AHEAD = 20  # batches of lines read ahead, so that sentences of similar length are batched
