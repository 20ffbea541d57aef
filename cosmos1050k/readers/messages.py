"""Words of a file or of a library, as they may stand in a message of one line."""


def shown(words: object, most: int = 100) -> str:
    """The words, or the last of them, in printable characters; the kind of an exception that has none."""
    text = " ".join(str(words).split()) or type(words).__name__
    text = text if len(text) <= most else "…" + text[1 - most :]
    return "".join(sign if sign.isprintable() else "?" for sign in text)
