"""Progress of long loops: bars of tqdm, or reports to a caller that draws its own."""

from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_REPORT: ContextVar[Any] = ContextVar("report", default=None)


@contextmanager
def report_progress(report):
    """Call ``report(done, total)`` in this block instead of moving a bar."""
    token = _REPORT.set(report)
    try:
        yield
    finally:
        _REPORT.reset(token)


def progress_bar(total, unit, name, verbose):
    """Return a bar for a ``with`` block, to be moved by ``update(n=1)``.

    It is shown if `verbose`. In a block of `report_progress` the outermost bar reports.
    """
    from tqdm.auto import tqdm

    report = _REPORT.get()
    if report is not None:
        return _reports(report, total)
    return tqdm(total=total, unit=unit, desc=name, disable=not verbose)


@contextmanager
def _reports(report, total):
    with report_progress(None):
        yield _Reporter(report, total)


class _Reporter:
    def __init__(self, report, total):
        self._report, self._total, self._done = report, total, 0

    def update(self, n=1):
        self._done += n
        self._report(self._done, self._total)
