"""Submitted checkpoints: what is said of them, how they are checked, the queue, its workers, their scores."""
