"""Files of nouns that users write: one noun per line, or a table."""

import codecs
import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

from ._phrases import normalize

# Names of the columns of a table, by what they hold.
COLUMNS = {
    "noun": ("noun", "nouns", "name", "word", "label"),
    "synonyms": ("synonyms", "synonym"),
    "synset": ("synset", "synsets", "wnid"),
}
_DELIMITERS = ",;\t"
_SYNSET = re.compile(r"\S+\.n\.\d+|n\d{8}")


@dataclass
class Entry:
    """A noun of a file, with the line it is in."""

    line: int
    noun: str
    synonyms: list[str] = field(default_factory=list)
    synset: str | None = None


def read_entries(path, encoding):
    """Return the entries of a file, and the names of columns that mean nothing here.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it has no nouns, is not text in its encoding, or a line cannot be understood;
        the message names the file and the line.
    """
    text = _decode(path, encoding)
    is_table = Path(path).suffix.lower() in (".csv", ".tsv")
    entries, others = _read_table(path, text) if is_table else (_read_list(text), [])
    if not entries:
        raise ValueError(f"{str(path)!r} holds no words; expected one noun per line.")
    return entries, others


def _decode(path, encoding):
    data = Path(path).read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"  # "Unicode text" of spreadsheets
    elif data.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{str(path)!r}, line {line}: not text in {encoding.upper()} (byte "
            f"0x{data[error.start]:02x}). Save it as UTF-8, or name its encoding."
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{str(path)!r}, line {line}: a zero byte, as in no text.")
    return text


def _read_list(text):
    # Not `splitlines`, which also splits where an editor counts no line.
    lines = enumerate(re.split("\r\n|\n|\r", text), start=1)
    nouns = ((i, normalize(line)) for i, line in lines if not _is_comment(line))
    return [Entry(i, noun) for i, noun in nouns if noun]


def _is_comment(line):
    return line.lstrip().startswith("#")


def _read_table(path, text):
    lines = list(io.StringIO(text, newline=""))
    first = next((x for x in lines if x.strip() and not _is_comment(x)), "")
    reader = csv.reader(
        ("\n" if _is_comment(line) else line for line in lines),
        delimiter=max(_DELIMITERS, key=first.count),
        strict=True,
    )
    entries, columns, header = [], None, []
    while True:
        where = f"{str(path)!r}, line {reader.line_num + 1}"
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise ValueError(f"{where}: {error}.") from None
        cells = [normalize(cell) for cell in row]
        if not any(cells):
            continue
        if columns is None and (columns := _read_header(cells)):
            header = cells
            continue
        if header and len(cells) > len(header):
            raise ValueError(
                f"{where}: {len(cells)} cells, but the header has {len(header)}. Put "
                "synonyms into quotes."
            )
        entry = _read_row(line, row, cells, columns)
        if not entry.noun:
            raise ValueError(f"{where}: no noun beside {max(cells, key=len)!r}.")
        entries.append(entry)
    used = set((columns or {}).values())
    return entries, [cell for i, cell in enumerate(header) if i not in used]


def _read_header(cells):
    """Return ``{what: column}``; nothing if the cells are nouns themselves."""
    names = [cell.lower() for cell in cells]
    columns = {
        what: names.index(name)
        for what, accepted in COLUMNS.items()
        for name in accepted
        if name in names
    }
    # "name" and "label" are nouns, too.
    if "noun" in names or ("noun" in columns and len(columns) > 1):
        return columns
    return {}


def _read_row(line, row, cells, columns):
    row = [cell.strip() for cell in row]  # synsets have underscores
    if not columns:
        synset = next(filter(_SYNSET.fullmatch, row[1:]), None)
        others = [cell for raw, cell in zip(row[1:], cells[1:]) if raw != synset]
        return Entry(line, cells[0], list(filter(None, others)), synset)

    def find(what, cells):
        column = columns.get(what, len(cells))
        return cells[column] if column < len(cells) else ""

    synonyms = map(normalize, re.split(r"[,;|]", find("synonyms", row)))
    synset = find("synset", row) or None
    return Entry(line, find("noun", cells), list(filter(None, synonyms)), synset)
