"""How common words are, as far as the vocabulary of CLIP's tokenizer tells."""

import math
import re
from functools import lru_cache

# Parts of words are numbered by how often captions have them. A word of several parts
# is rarer than any with a number of its own, by as much per further part,
PER_PART = 0.5  # decades
# and each further word makes a phrase rarer.
PER_WORD = 0.4  # decades
# Words with numbers up to 6,300, such as "bird", are as common as can be.
COMMON = 3.8  # decades


def commonness(noun):
    """Return how common the most common name of a noun is, at most 1.

    Names are between commas; what is in brackets does not count. A name is as rare as
    its rarest word.
    """
    names = re.sub(r"\(.*?\)", "", noun).split(",")
    return 10 ** (max(map(_rank, names), default=-COMMON))


@lru_cache(2**16)
def _rank(name):
    words = re.findall(r"[^\W_]+", name.lower())
    if not words:
        return -COMMON
    rarest = max(min(_decades(word), _decades(word + "s")) for word in words)
    return min(0.0, COMMON - rarest - PER_WORD * (len(words) - 1))


@lru_cache(2**16)
def _decades(word):
    tokens = _tokenizer().encode(word)
    if len(tokens) == 1:
        return math.log10(tokens[0] + 1)
    return math.log10(_tokenizer().vocab_size) + PER_PART * (len(tokens) - 1)


@lru_cache(1)
def _tokenizer():
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()
