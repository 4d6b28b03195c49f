"""The exception that this room raises for bad input: its message is a sentence with a remedy."""


class RunError(Exception):
    """Bad input or a missing result; the command line prints the message and exits non-zero."""


class NotebookError(RunError):
    """A cell failed, or the kernel died; the message says where, and how to resume."""


def unknown(kind: str, value: str, valid: list[str]) -> RunError:
    """An error of the form: unknown profile 'huge'; valid: gpu, laptop, smoke."""
    return RunError(f"unknown {kind} {value!r}; valid: {', '.join(sorted(valid)) or 'none'}")
