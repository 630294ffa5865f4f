"""Inspection of a trained model: one sentence, gates, gradients, exposure bias."""
