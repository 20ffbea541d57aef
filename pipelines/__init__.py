"""One thin module per DVC stage, and `cli.py`, the `cosmos` command: the only places that join the rooms."""
