"""How usual a noun is as a name: its level in WordNet, and how common the word is."""

from functools import lru_cache

from .commonness import commonness

# Weight of the commonness of a word in the score of a noun, as an exponent: a tenth as
# common costs a quarter.
COMMONNESS = 1 / 8
# What people say for a mixture of things, not for a thing ("reptile", but not
# "turtle"): the superordinate level of Rosch (1976), as far as pictures show it. Such a
# noun needs to be twice as good a detector.
SUPERORDINATE_FACTOR = 0.5
SUPERORDINATE = """
    animal.n.01 mammal.n.01 reptile.n.01 amphibian.n.03 insect.n.01 crustacean.n.01
    rodent.n.01 ungulate.n.01 primate.n.02 plant.n.02 food.n.01 food.n.02 fruit.n.01
    vegetable.n.01 fabric.n.01 clothing.n.01 garment.n.01 housing.n.01 furniture.n.01
    toy.n.01 vehicle.n.01 weapon.n.01 tool.n.01 appliance.n.01 kitchen_utensil.n.01
    musical_instrument.n.01 stringed_instrument.n.01
""".split()  # noqa: SIM905
# What WordNet places above nouns that people use is its scaffold: instrumentality,
# commodity, chordate. It names only what nothing else names.
SCAFFOLD_FACTOR = 1e-6
BELOW_SCAFFOLD = """
    animal.n.01 bird.n.01 mammal.n.01 fish.n.01 insect.n.01 dog.n.01 cat.n.01
    person.n.01 plant.n.02 tree.n.01 flower.n.01 food.n.01 food.n.02 fruit.n.01
    vegetable.n.01 clothing.n.01 furniture.n.01 lamp.n.01 vehicle.n.01 car.n.01
    airplane.n.01 boat.n.01 building.n.01 computer.n.01 tool.n.01 weapon.n.01 gun.n.01
    musical_instrument.n.01 clock.n.01 bottle.n.01 box.n.01 ball.n.01 toy.n.01
    book.n.01 mountain.n.01 beverage.n.01 road.n.01 room.n.01 door.n.01 bridge.n.01
    wheel.n.01 telephone.n.01 camera.n.01 rug.n.01 picture.n.01 beach.n.01 lake.n.01
    maze.n.01
""".split()  # noqa: SIM905


@lru_cache(2**17)
def usualness(hierarchy, noun, synset):
    """Return the factor, at most 1, of how usual a noun is as the name of a thing.

    `synset` is its position in the hierarchy, or None.
    """
    if synset is None:
        return commonness(noun) ** COMMONNESS
    # How much of the use of the word is in this sense.
    word = _word(noun)
    uses = [1 + hierarchy.frequency(sense, word) for sense in hierarchy.senses(word)]
    share = (1 + hierarchy.frequency(synset, word)) / sum(uses) if uses else 1.0
    common = (commonness(noun) * min(1.0, share)) ** COMMONNESS
    return _level(hierarchy, word, synset) * common


def _level(hierarchy, word, synset):
    scaffold, superordinate = _levels(hierarchy)
    if synset in scaffold:
        return SCAFFOLD_FACTOR
    # "military vehicle" is as general as "vehicle".
    head = word.rpartition(" ")[2]
    is_general = any(
        above == synset or head in hierarchy.lemmas[above]
        for above in hierarchy.ancestors(synset) & (scaffold | superordinate)
    )
    return SUPERORDINATE_FACTOR if is_general else 1.0


def _word(noun):
    return noun.partition("(")[0].partition(",")[0].strip()


@lru_cache(1)
def _levels(hierarchy):
    """Return the positions of the scaffold and of superordinate synsets."""
    basic = {hierarchy.position(synset) for synset in BELOW_SCAFFOLD}
    scaffold = frozenset().union(*map(hierarchy.ancestors, basic)) - basic
    return scaffold, frozenset(map(hierarchy.position, SUPERORDINATE))
