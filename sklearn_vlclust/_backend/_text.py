"""Numbers in sentences."""


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: "1 cluster", "1,670 images"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
