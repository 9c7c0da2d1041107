"""Output of commands: results on stdout, progress and remarks on stderr."""

import json
import unicodedata
import warnings
from contextlib import contextmanager

from ._phrases import rephrase

# Unicode categories that move the cursor, hide or reorder text, or cannot be encoded:
# controls, formats (right-to-left overrides among them), surrogates, separators.
_HIDDEN = {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}


def printable(text):
    r"""Return an object as text on one line, without what a terminal would act on.

    ``"a\x1b[2Jb"`` becomes ``"a\\x1b[2Jb"``, and a line break ``"\\n"``.
    """
    return "".join(
        c.encode("unicode_escape", "surrogatepass").decode("ascii")
        if unicodedata.category(c) in _HIDDEN
        else c
        for c in str(text)
    )


def one_line(error):
    """Return the message of an exception on one line, fit for a terminal."""
    lines = (line.strip() for line in str(error).splitlines())
    return printable(" ".join(filter(None, lines)) or type(error).__name__)


def to_json(result):
    r"""Return an object as one line of JSON in ASCII.

    Bytes of file names that are not UTF-8 are written as Python holds them: byte FF is
    ``\udcff``, and ``os.fsencode`` of what `json.loads` returns gives back the name.
    """
    return json.dumps(result, ensure_ascii=True)


class Terminal:
    """Progress bars and remarks on stderr.

    If `debug`, warnings of all categories are shown, with file and line. The attribute
    `warnings` lists those that were shown.
    """

    def __init__(self, debug=False):
        from rich.console import Console

        self.debug = debug
        self.warnings = []
        self._console = Console(
            stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True
        )

    def remark(self, message):
        """Write a line."""
        self._console.print(printable(message))

    def warn(self, message, place=""):
        """Write a warning, once."""
        text = rephrase(one_line(message))
        if text and text not in self.warnings:
            self.warnings.append(text)
            self.remark(f"Warning: {text}{place}")

    @contextmanager
    def stage(self, title, total=None):
        """Show a bar while the block runs; yield ``advance(done, total=None)``.

        If stderr is not a terminal, only the title is printed.
        """
        from rich import progress as bars

        if not self._console.is_terminal:
            self.remark(title)
            yield lambda done, total=None: None
            return
        columns = [
            bars.SpinnerColumn(),
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeRemainingColumn(),
            bars.TimeElapsedColumn(),
        ]
        with bars.Progress(*columns, console=self._console) as progress:
            task = progress.add_task(printable(title), total=total)

            def advance(done, total=total):
                progress.update(task, completed=done, total=total)

            yield advance
            # A stage that counted nothing is also done.
            known = progress.tasks[0].total
            progress.update(task, completed=known or 1, total=known or 1)

    @contextmanager
    def remarks_of_the_library(self):
        """Show each warning of the block once, on one line."""

        def show(message, category, filename, lineno, file=None, line=None):
            place = f" ({filename}:{lineno})" if self.debug else ""
            self.warn(message, place)

        with warnings.catch_warnings():
            if not self.debug:
                # Deprecations inside other libraries are not the user's to fix.
                for category in (DeprecationWarning, FutureWarning):
                    warnings.simplefilter("ignore", category)
            warnings.showwarning = show
            yield


def print_table(columns, rows):
    """Print a table to stdout; columns with ``">"`` before their name align right.

    Nothing is cut or wrapped: the last column may hold paths.
    """
    from rich.cells import cell_len

    names = [column.lstrip(">") for column in columns]
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(names, *cells)]

    def line(row):
        padded = []
        for column, text, width in zip(columns, row, widths):
            space = " " * (width - cell_len(text))
            padded.append(space + text if column[:1] == ">" else text + space)
        return "  ".join(padded).rstrip()

    print(line(names))
    print(line(["-" * width for width in widths[:-1]] + ["-" * cell_len(names[-1])]))
    for row in cells:
        print(line(row))


def say(text):
    """Print a line to stdout."""
    print(printable(text))
