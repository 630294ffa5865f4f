"""From text files to batches: lines, tokens, the encoded store, and the order of an epoch."""
