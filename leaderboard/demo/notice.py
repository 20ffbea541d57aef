"""The sentence that every page, answer and downloaded file of the app carries."""

NOTICE = "For research. Not a medical device."
