"""``vlclust doctor``."""

from .._backend._text import counted
from . import _options
from ._errors import DONE, FAILED
from ._terminal import Terminal, print_table, say


def doctor(json: _options.Json = False, debug: _options.Debug = False):
    """Show what is installed, what is missing, and what to do about it.

    Nothing is downloaded. The exit code is 1 if anything is missing that every run
    needs.
    """
    from ._checks import run_checks

    terminal = Terminal(debug)
    with terminal.remarks_of_the_library():
        checks = run_checks()
    broken = [check for check in checks if check.needed and not check.ok]
    if not json:
        print_table(
            ["", "what", "found", "what to do"],
            [
                (
                    "ok" if check.ok else "BROKEN" if check.needed else "missing",
                    check.name,
                    check.found,
                    check.advice,
                )
                for check in checks
            ],
        )
        count = len(broken)
        say(f"{counted(count, 'problem')} to fix." if count else "Ready.")
    return {
        "command": "doctor",
        "ok": not broken,
        "checks": [vars(check) for check in checks],
        "warnings": terminal.warnings,
        "exit_code": FAILED if broken else DONE,
    }
