"""All that is public: names, the objects behind them, their methods."""

import inspect
from importlib import import_module

ROOMS = (
    "cluster",
    "datasets",
    "embedding",
    "metrics",
    "model_selection",
    "neighbors",
    "persistence",
    "plotting",
    "semantics",
)


def public_objects(rooms=ROOMS):
    """Return {full name: object} of the functions and classes of rooms."""
    found = {}
    for room in rooms:
        module = import_module(f"sklearn_vlclust.{room}")
        for name in module.__all__:
            thing = getattr(module, name)
            ours = getattr(thing, "__module__", "").startswith("sklearn_vlclust")
            if ours and (inspect.isclass(thing) or inspect.isfunction(thing)):
                found[f"{module.__name__}.{name}"] = thing
    return found


def public_methods(name, thing):
    """Return the full names of the methods of a class that are ours and public."""
    if not inspect.isclass(thing):
        return []
    ours = (c for c in thing.__mro__ if c.__module__.startswith("sklearn_vlclust"))
    names = dict.fromkeys(
        key
        for c in ours
        for key, value in vars(c).items()
        if not key.startswith("_")
        and isinstance(value, classmethod | property | type(public_methods))
    )
    return [f"{name}.{key}" for key in names]
