"""The words of code, docs and messages: American spelling, "per", and "If None"."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLACES = "sklearn_vlclust", "docs", "examples", "benchmarks", "tests"
KINDS = ".py", ".rst", ".md", ".js", ".css", ".j2", ".html"

BRITISH = re.compile(
    r"""(?xi)
    (colo|neighbo|favo|behavio|hono|labo|flavo|rumo)ur
    | centre(?!l) | centring | fibre | \b(milli|kilo|centi)?metre\b | litre
    | grey | catalogue | licence | defence | whilst | artefact
    | (label|model|travel|cancel|channel|signal|level)l(ed|ing)\b
    | analys(e|ed|ing)\b
    | (normal|standard|optim|minim|maxim|initial|summar|recogn|organ|categor|special
       |general|visual|parallel|vector|serial|synchron|factor|random|util|token|penal
       |real|emphas|regular|quant|final|local|custom|priorit|harmon|stabil|character)
      is(e[drs]?|ing|ations?)\b
    """
)
# "30 batches an epoch" and "once a round" are rates: "per".
RATE = re.compile(
    r"""(?xi)\b
    (once|twice|times|[0-9]+|one|two|three|four|few|many|number|rows|images|pictures
     |samples|batches|epochs|steps|nouns|votes|numbers|tokens|products|threads|folders?
     |bars?|lines?|files?|columns?
     |(milli|micro)?seconds|bytes|[mgk]i?b|ms|us|attention|function|constant)
    \ an?\ (batch|epoch|image|cluster|row|round|second|minute|sample|step|processor|core
     |noun|equation|cell|class|phase|stage|seed|process|method|command)\b
    """
)
# "None is no words" and "None embeds them" say what happens "if None".
IF_NONE = re.compile(
    r"""(?x)(?<![=.`"\w])None\ (is|means|gives|takes|uses|leaves|shows|draws|chooses
    |embeds|makes|keeps|does|stands)\b"""
)
# Names in other people's interfaces.
NAMES = re.compile("aria-labelledby")


def faults(text):
    """Return ``(line number, words)`` of everything that is worded otherwise here."""
    text = NAMES.sub("", text)
    return [
        (text.count("\n", 0, found.start()) + 1, found.group())
        for pattern in (BRITISH, RATE, IF_NONE)
        for found in pattern.finditer(text)
    ]


def test_spelling():
    files = [ROOT / "README.md"]
    for place in PLACES:
        files += [p for p in sorted((ROOT / place).rglob("*")) if p.suffix in KINDS]
    made = {"_build", "auto_examples"}
    files = [p for p in files if not made & set(p.parts) and p != Path(__file__)]
    assert len(files) > 200
    found = [
        f"{path.relative_to(ROOT)}:{line}: {words!r}"
        for path in files
        for line, words in faults(path.read_text())
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "# the nearest neighbours of a row",
        "CENTRE_COLOUR = 1",
        '"""Standardised rows, whose loss is minimised."""',
        "raise ValueError('unlabelled')",
        "# 30 batches an epoch",
        "About 20 images a second, generated once a round",
        "Images as copies, in a folder a cluster.",
        "    None embeds them as the estimator did.",
    ],
)
def test_planted_faults_are_found(line):
    assert {number for number, _ in faults(f"x = 1\n{line}\n")} == {2}


@pytest.mark.parametrize(
    "line",
    [
        "Neighbors of an image, normalized; a row of the analyses.",
        "A promise is otherwise a precise exercise of x.flags.writeable.",
        "Return the images of a cluster as an epoch ends, 30 batches per epoch.",
        "if X is None and y is not None: return None",
    ],
)
def test_good_lines_are_left_alone(line):
    assert not faults(line)
