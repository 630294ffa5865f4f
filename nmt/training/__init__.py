"""Training: the loss, one update, schedules, teacher forcing, checkpoints, and the one loop over them."""
