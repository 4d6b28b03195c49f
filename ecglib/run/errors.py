"""The exception that this room raises for bad input: its message is a sentence with a remedy."""


class RunError(Exception):
    """Bad input or a missing result; the command line prints the message and exits non-zero."""


def unknown(kind: str, value: str, valid: list[str]) -> RunError:
    """An error of the form: unknown profile 'huge'; valid: gpu, laptop, smoke."""
    return RunError(f"unknown {kind} {value!r}; valid: {', '.join(sorted(valid)) or 'none'}")


def pick(kind: str, name: str, known: dict):
    """The entry of that name. Raises RunError: there is none; names the valid ones."""
    if name not in known:
        raise unknown(kind, name, list(known))
    return known[name]
