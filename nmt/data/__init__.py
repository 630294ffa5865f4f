"""From text files to batches: lines, pieces, the encoded store, and the plan of an epoch."""
