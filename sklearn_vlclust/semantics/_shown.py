"""Names as people read them."""

import re
from collections import defaultdict

import numpy as np

from ..datasets.nouns import noun_hierarchy
from ._phrases import spelling_key


def shown_names(nouns, synsets):
    """Return names for nouns that are shown together: the sense in brackets if needed.

    "crane (wading bird)" is a crane, unless the lifting device is also shown. Only
    nouns with a synset have a sense in brackets; all others stay as they are.

    Parameters
    ----------
    nouns : list of arrays of str
        Nouns of a vocabulary, of each cluster.
    synsets : list of arrays of str or None
        Their synsets.

    Returns
    -------
    names : list of arrays of str
    """
    senses = defaultdict(set)
    for own, known in zip(nouns, synsets):
        for noun, synset in zip(own, known):
            senses[_word(noun, synset)].add(synset or noun)
    return [
        np.array(
            [
                _name(noun, synset, len(senses[_word(noun, synset)]) > 1)
                for noun, synset in zip(own, known)
            ],
            dtype=object,
        )
        for own, known in zip(nouns, synsets)
    ]


def _bare(noun):
    return re.sub(r"(?<=\S) \(.*\)$", "", noun)


def _word(noun, synset):
    return spelling_key(noun if synset is None else _bare(noun))


def _name(noun, synset, is_ambiguous):
    if synset is None:
        return noun
    if not is_ambiguous:
        return _bare(noun)
    return noun if _bare(noun) != noun else noun_hierarchy().with_sense(noun, synset)
