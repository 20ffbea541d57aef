"""Gets the raw files of a source: `cosmos fetch`. Its verbs are in `plan`."""
