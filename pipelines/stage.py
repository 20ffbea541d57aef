"""How a stage or command ends: bad input is one line and exit status 1, a program fault a traceback."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cosmos1050k.errors import InputError


@contextmanager
def reported() -> Iterator[None]:
    """Turns an `InputError` of the block into its one line on standard error and exit status 1."""
    logging.basicConfig(format="%(levelname)s: %(message)s")
    try:
        yield
    except InputError as error:
        sys.exit(f"error: {error}")


def argument(usage: str) -> str:
    """The one argument of a stage.

    Raises:
        InputError: there is none, or more than one.
    """
    if len(sys.argv) != 2:
        raise InputError(f"usage: {usage}")
    return sys.argv[1]
