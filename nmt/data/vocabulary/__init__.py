"""Vocabularies: subword models and word lists, their training, and sampled segmentations."""
