"""Exit codes, and errors on one line."""

import os
import signal
import sys
import threading
from contextlib import contextmanager, redirect_stdout

from typer.core import TyperGroup

from ._phrases import rephrase
from ._terminal import one_line, printable, to_json

DONE, FAILED, USAGE, OCCUPIED = 0, 1, 2, 3

EPILOG = (
    "Exit codes: 0 done, 1 the run failed, 2 the command line is wrong, 3 --out holds "
    "something else and nothing was changed, 130 interrupted by Ctrl-C (143 by a "
    "termination signal)."
)


class CommandError(Exception):
    """An error with an exit code of its own."""

    def __init__(self, message, code):
        super().__init__(message)
        self.code = code


class Interrupted(BaseException):
    """Ctrl-C, or a termination signal.

    The process must stop at once; what was computed is on disk. At a
    `KeyboardInterrupt`, only training would stop, and the fit would be completed.
    """

    def __init__(self, number):
        super().__init__(number)
        self.code = 128 + number


class OneLineErrors(TyperGroup):
    """The group of commands: prints what they return, and errors on one line.

    With ``--json``, stdout is one JSON object, even after an error. With ``--debug``,
    exceptions are raised as they are.
    """

    def main(  # type: ignore[override]
        self, args=None, prog_name="vlclust", *, standalone_mode=True, **extra
    ):
        """Run a command; end the process unless `standalone_mode` is off."""
        given = list(sys.argv[1:] if args is None else args)
        options = given[: given.index("--")] if "--" in given else given
        as_json, debug = "--json" in options, "--debug" in options
        stdout = sys.stdout
        for stream in (stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        with _stdout_to_stderr(as_json), _signals() as signals:
            resumes = given[:1] == ["cluster"]
            try:
                result = super().main(given, prog_name, standalone_mode=False, **extra)
            except Interrupted as interruption:
                result = _interruption(interruption.code, resumes)
            except Exception as error:
                if signals:  # a library turned the interruption into an error
                    result = _interruption(128 + signals[0], resumes)
                elif debug:
                    raise
                else:
                    result = _failure(error)
        if not isinstance(result, dict):  # after --help
            result = {"exit_code": result or DONE}
        code = result.setdefault("exit_code", DONE)
        if "error" in result:
            print(f"vlclust: {result['error']}", file=sys.stderr)
        if as_json:
            print(to_json(result), file=stdout)
        if standalone_mode:
            sys.exit(code)
        return code


def _failure(error):
    # An error of click, which some versions of typer bundle under another name.
    if hasattr(error, "format_message"):
        message = printable(error.format_message()).rstrip(".")
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "vlclust"
        if not message:  # without arguments, the help was shown
            return {"exit_code": USAGE}
        end = "" if message.endswith("?") else "."
        code = getattr(error, "exit_code", USAGE)
        return _error(f"{message}{end} See {path} --help", code)
    if isinstance(error, CommandError):
        return _error(one_line(error), error.code)
    expected = ValueError, TypeError, OSError, LookupError, ImportError, MemoryError
    what = "" if isinstance(error, expected) else f"{type(error).__name__}: "
    return _error(what + rephrase(one_line(error)), FAILED)


def _interruption(code, resumes):
    hint = ". What was computed is kept: run the same command to go on." * resumes
    return _error(f"interrupted{hint}", code)


def _error(message, code):
    return {"error": message, "exit_code": code}


@contextmanager
def _stdout_to_stderr(wanted):
    """Send what libraries print to stderr, if `wanted`."""
    if not wanted:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


@contextmanager
def _signals():
    """Raise `Interrupted` at Ctrl-C and termination; yield the signals received."""
    came: list[int] = []

    def interrupt(number, frame):
        came.append(number)
        raise Interrupted(number)

    if threading.current_thread() is not threading.main_thread():
        yield came  # only the main thread can handle signals
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield came
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)


def open_in_browser(path):
    """Show a file in the browser."""
    import webbrowser
    from pathlib import Path

    if not webbrowser.open(Path(os.path.abspath(path)).as_uri()):
        raise CommandError(f"No browser could be started; open {path!r}.", FAILED)
