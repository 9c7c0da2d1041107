"""What this package depends on, and the commands that install it."""

from importlib.metadata import PackageNotFoundError, distribution, version

PACKAGE = "sklearn-vlclust"


def requirements(extra=""):
    """Return what this package requires, or what an extra adds to that.

    Raises
    ------
    PackageNotFoundError
        If this package is not installed.
    """
    from packaging.requirements import Requirement

    def applies(requirement, extra):
        return requirement.marker is None or requirement.marker.evaluate(
            {"extra": extra}
        )

    found = [Requirement(line) for line in distribution(PACKAGE).requires or ()]
    return [r for r in found if applies(r, extra) and not (extra and applies(r, ""))]


def installed(requirement):
    """Return whether a requirement is met, and what is installed."""
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return False, "not installed"
    return requirement.specifier.contains(found, prereleases=True), found


def install_command(extra=""):
    """Return the command that installs what is missing of an extra.

    It names packages of the index, so that it works outside the clone as well.
    """
    try:
        wanted = requirements(extra)
    except PackageNotFoundError:
        wanted = []
    if not wanted:
        return f'pip install ".[{extra}]" in the clone' if extra else "pip install ."
    missing = [r for r in wanted if not installed(r)[0]] or wanted
    return " ".join(["pip install", *(_quoted(r) for r in missing)])


def _quoted(requirement):
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f'"{requirement.name}{extras}{requirement.specifier}"'
