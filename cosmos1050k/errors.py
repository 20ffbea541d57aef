"""What is raised when the input, not the program, is at fault: always one line that says what to do."""


class InputError(Exception):
    """A file, folder, name or parameter of the user's that can't be used. Its text is the whole message."""


class BadFile(InputError):
    """One raw file that can't be used: `file` (relative to its source's folder), `problem`, `remedy`."""

    def __init__(self, file: str, problem: str, remedy: str) -> None:
        super().__init__(file, problem, remedy)  # all three, so that the exception survives pickling
        self.file, self.problem, self.remedy = file, problem, remedy

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}; {self.remedy}"
