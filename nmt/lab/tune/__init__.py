"""`nmt tune`: the search of a trained model, and the estimate of a line's quality, from validation pairs."""
