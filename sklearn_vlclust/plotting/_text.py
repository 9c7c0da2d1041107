"""Words that several displays share."""


def count(n, noun):
    """Return ``3 clusters`` for 3 and ``cluster``."""
    return f"{n:,} {noun}{'s' * (n != 1)}"
