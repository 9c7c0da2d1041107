"""What a command says: results on stdout, progress and remarks on stderr."""

import json
import sys
import unicodedata
import warnings
from contextlib import contextmanager

# Unicode categories that move the cursor, hide or reorder text, or cannot be encoded:
# controls, formats (right-to-left overrides among them), surrogates, separators.
_HIDDEN = {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}


def printable(text):
    r"""Return `text` on one line, with whatever a terminal would act on as escapes.

    Parameters
    ----------
    text : object
        The text to show; `str` is called on it.

    Returns
    -------
    text : str
        ``"a\x1b[2Jb"`` becomes ``"a\\x1b[2Jb"``, a line break ``"\\n"``.
    """
    return "".join(
        c.encode("unicode_escape", "surrogatepass").decode("ascii")
        if unicodedata.category(c) in _HIDDEN
        else c
        for c in str(text)
    )


def counted(n, noun):
    """Return a number with its noun: "1 cluster", "1,670 images"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


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

    Parameters
    ----------
    debug : bool, default=False
        Whether warnings of all kinds are shown, with their place.

    Attributes
    ----------
    warnings : list of str
        Those that were shown.
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

    @contextmanager
    def stage(self, title, total=None):
        """Show a bar while the block runs; yield ``advance(done, total=None)``.

        Where stderr is no terminal, the title is a line and there is no bar.
        """
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        if not self._console.is_terminal:
            self.remark(title)
            yield lambda done, total=None: None
            return
        columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
        counts = [BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
        with Progress(
            *columns, *counts, TimeElapsedColumn(), console=self._console
        ) as progress:
            task = progress.add_task(printable(title), total=total)

            def advance(done, total=total):
                progress.update(task, completed=done, total=total)

            yield advance
            # What had no count is done as well.
            known = progress.tasks[0].total
            progress.update(task, completed=known or 1, total=known or 1)

    @contextmanager
    def remarks_of_the_library(self):
        """Show warnings of the block as one line each, every text once."""

        def show(message, category, filename, lineno, file=None, line=None):
            text = one_line(message)
            if text not in self.warnings:
                self.warnings.append(text)
                place = f" ({filename}:{lineno})" if self.debug else ""
                self.remark(f"Warning: {text}{place}")

        with warnings.catch_warnings():
            if not self.debug:
                # Deprecations in what other libraries do are not the user's to fix.
                for category in (DeprecationWarning, FutureWarning):
                    warnings.simplefilter("ignore", category)
            warnings.showwarning = show
            yield


def print_table(columns, rows):
    """Print a table to stdout.

    Parameters
    ----------
    columns : list of str
        Headings; one that starts with ``">"`` is aligned right.
    rows : list of tuples
        Cells; their `printable` form is shown.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.lstrip(">"), justify="right" if right else "left")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    # A pipe has no width: lines are not broken there.
    width = None if sys.stdout.isatty() else 10_000
    Console(markup=False, highlight=False, emoji=False, width=width).print(table)


def say(text):
    """Print a line to stdout."""
    print(printable(text))
