"""``vlclust doctor``."""

from .._backend._text import counted
from . import _options
from ._errors import DONE, FAILED
from ._terminal import Terminal, say

_WIDTH = 80  # columns


def doctor(json: _options.Json = False, debug: _options.Debug = False):
    """Show what is installed, what is missing, and what to do about it.

    Nothing is downloaded. The exit code is 1 if anything is missing that every run
    needs.

    Example: vlclust doctor
    """
    from ._checks import run_checks

    terminal = Terminal(debug)
    with terminal.remarks_of_the_library():
        checks = run_checks()
    broken = [check for check in checks if check.needed and not check.ok]
    if not json:
        for check in checks:
            _show(check)
        count = len(broken)
        say(f"{counted(count, 'problem')} to fix." if count else "Ready.")
    return {
        "command": "doctor",
        "ok": not broken,
        "checks": [vars(check) for check in checks],
        "warnings": terminal.warnings,
        "exit_code": FAILED if broken else DONE,
    }


def _show(check):
    """Print a check in lines of 80 columns; only paths and commands may be longer."""
    state = "ok" if check.ok else "BROKEN" if check.needed else "missing"
    text = f"{state:8}{check.name:34}"
    if len(text) + len(check.found) > _WIDTH:
        say(text.rstrip())
        text = " " * 8
    say(text + check.found)
    if check.advice:
        say(f"{'':8}-> {check.advice}")
