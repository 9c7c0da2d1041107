"""The command line: ``vlclust``."""

from ._app import app


def main(arguments=None):
    """Run the command line and end the process.

    Parameters
    ----------
    arguments : list of str, default=None
        Used instead of the process's arguments.

    Raises
    ------
    SystemExit
        Always, with the exit code.
    """
    app(arguments)


__all__ = ["app", "main"]
