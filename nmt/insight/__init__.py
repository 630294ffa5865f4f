"""What a model and its run did: numbers and pictures."""
