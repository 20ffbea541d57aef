"""Training: a small SAM from nothing, and finetuning of a SAM's mask decoder (protocol, section 6)."""
