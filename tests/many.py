"""How many random things a test draws."""

import os

#: Set by `make test-all`.
_ALL = "COSMOS_TEST_ALL"


def many(number: int) -> int:
    """So many in `make test-all`, a tenth of them in `make test`."""
    return number if os.environ.get(_ALL) else -(-number // 10)
