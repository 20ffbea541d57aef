"""Words of a file or of a library, as they may stand in a message of one line."""


def shown(words: object, most: int = 100) -> str:
    """The last of the words, in printable characters; the kind of an exception that has none."""
    text = " ".join(str(words).split()) or type(words).__name__
    return "".join(sign if sign.isprintable() else "?" for sign in text[-most:])
