"""The token store: encoded corpora in memory-mapped shards."""
