"""From a model to text: the search, the translation job, and how its results are written."""

LONGEST_PART = 200  # source pieces translated at once, if the user does not say; longer lines go in parts
READ_AHEAD = 20  # batches of lines read ahead, so that sentences of one length meet
