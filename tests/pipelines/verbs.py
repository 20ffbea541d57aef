"""Verbs of `cosmos`, run in the test's own process."""

from typer.testing import CliRunner

from pipelines.cli import app


def run(*arguments: str, status: int = 0) -> str:
    """What a verb prints on both streams; it ends with this status."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    assert result.exit_code == status, result.output
    return result.output
