"""Numbers in sentences."""

_PLURAL = {"is": "are", "has": "have", "needs": "need"}


def counted(n: int, noun: str, verb: str = "") -> str:
    """Return a number with its noun, and verb: "1 cluster is", "1,670 images".

    Parameters
    ----------
    n : int
        The number.
    noun, verb : str
        In the singular.
    """
    if n == 1:
        return f"1 {noun} {verb}".rstrip()
    nouns = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{n:,} {nouns} {_PLURAL.get(verb, verb)}".rstrip()
