"""Nouns, phrases and adjectives in a sentence that a text encoder reads."""

import re
import unicodedata

from ..datasets.nouns import installed_hierarchy

# What a noun phrase may begin with; then it needs no article.
_DETERMINER = re.compile(
    r"(an?|the|this|that|these|those|some|several|many|both|another|my|your|his|her|its"
    r"|our|their|two|three|four|five|six|seven|eight|nine|ten)\s",
    re.IGNORECASE,
)
# What ends the noun that a phrase is about: "dogs in the snow", "men playing cards".
_MODIFIER = re.compile(
    r"\s(of|in|on|at|by|with|without|from|for|to|under|over|near|behind|beside|between"
    r"|through|that|who|\w+ing)\s.*"
)
# Plurals that WordNet does not derive from a singular of their meaning.
_PLURALS = {
    *("binoculars", "clothes", "glasses", "goggles", "jeans", "pants", "people"),
    *("pliers", "police", "scissors", "shorts", "sunglasses", "tweezers"),
}
# A byte-order mark and marks of the direction of writing: not part of a word at its
# ends, where they cannot be seen.
_INVISIBLE = "\ufeff\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069"


def normalize(noun):
    """Return a noun in Unicode's composed form, with single spaces between words."""
    words = unicodedata.normalize("NFC", noun).replace("_", " ").split()
    return " ".join(words).strip(_INVISIBLE + " ")


def spelling_key(noun):
    """Return what spellings of a noun share that differ in case or composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", noun).casefold())


def prompt_texts(prompt, nouns, synsets):
    """Return what a text encoder reads for nouns: the prompt, with the noun at ``{}``.

    An `a` or `an` before it follows its first sound, and is left out before a plural or
    a phrase that has its own ("a man playing a guitar"). An adjective at the end is one
    of a texture: "a striped texture".
    """
    before, _, after = prompt.partition("{}")
    article = re.search(r"\b(a|an|the)( +)$", before, re.IGNORECASE)
    if not article:
        return [before + noun + after for noun in nouns]
    start, hierarchy = before[: article.start()], installed_hierarchy()
    texture = "" if re.match(r" *\w", after) else " texture"
    texts = []
    for noun, synset in zip(nouns, synsets):
        words, bare = article[0], _is_lemma(noun, synset, hierarchy)
        if not bare and _has_determiner(noun, hierarchy):
            texts.append(start + noun[0].lower() + noun[1:] + after)
            continue
        if not bare and hierarchy is not None and hierarchy.is_adjective(noun):
            noun += texture
        elif not bare and words[0] in "aA" and _is_plural(noun, hierarchy):
            words = ""
        if words[:1] in tuple("aA"):
            words = words[0] + "n" * _starts_with_vowel_sound(noun) + article[2]
        texts.append(start + words + noun + after)
    return texts


def _is_lemma(noun, synset, hierarchy):
    """Whether a noun is a word of its synset, but for what is in brackets."""
    if synset is None or hierarchy is None:
        return False
    return noun.partition(" (")[0] in hierarchy.lemmas[hierarchy.position(synset)]


def _has_determiner(noun, hierarchy):
    if not (found := _DETERMINER.match(noun)):
        return False
    # "two dollar bill" is a noun.
    return found[1].lower() == "the" or not (hierarchy and hierarchy.knows(noun))


def _is_plural(noun, hierarchy):
    head = _MODIFIER.sub("", noun).lower()
    last = head.rpartition(" ")[2]
    if last in _PLURALS or hierarchy is None:
        return last in _PLURALS
    return hierarchy.is_plural(last if not hierarchy.senses(head) else head)


_SILENT_H = re.compile(r"(hour|heir|honest|honou?r)", re.IGNORECASE)
# "you" and "w" sounds: unicorn, useful, eucalyptus, ewe, one, ouija.
_CONSONANT_SOUND = re.compile(
    r"(uni([^nm]|$)|us[aeu]|ut[aeio]|uran|urin|ubiq|eu|ewe|on(e|ce)\b|ouija)",
    re.IGNORECASE,
)
_SPELLED = re.compile(r"[A-Z](\b|[A-Z])")  # X-ray, FBI agent


def _starts_with_vowel_sound(noun):
    if _SPELLED.match(noun):
        return noun[0] in "AEFHILMNORSX"
    if _SILENT_H.match(noun):
        return True
    letter = unicodedata.normalize("NFD", noun)[:1].lower()  # without its accent
    return letter in set("aeiou") and not _CONSONANT_SOUND.match(noun)
