"""Trying a model on a picture: what a person brings, prompts, the engine that answers, kept masks."""
