"""From a model to text: the search, the translation job, and how its results are written."""

LONGEST_PART = 200  # source tokens translated at once by default; longer lines are translated in parts
SAMPLED_TOKENS = 20_000  # tokens sampled at most to measure a language model's perplexity on its output
READ_AHEAD = 20  # batches of lines read ahead, so that sentences of similar length are batched
