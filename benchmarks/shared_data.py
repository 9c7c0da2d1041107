"""Embeddings of images and nouns by CLIP, which are not part of the project.

They are looked for in the folder `VLCLUST_TEST_DATA`, by default `../shared/data`.
"""

import os
from pathlib import Path

import numpy as np

from sklearn_vlclust import Vocabulary

ROOT = Path(__file__).parents[1]
FOLDER = Path(os.environ.get("VLCLUST_TEST_DATA") or ROOT.parent / "shared" / "data")
# Name -> file and split.
IMAGES = {
    "pets": ("oxford_pets", "test"),
    "caltech101": ("caltech101", "test"),
    "dtd": ("dtd", "test"),
    "cars": ("stanford_cars", "val"),
    "pets-val": ("oxford_pets", "val"),
    "caltech101-val": ("caltech101", "val"),
    "dtd-val": ("dtd", "val"),
}


def images(name):
    """Return embeddings, (n, 512) float32, and classes 0, 1, ... for the figures."""
    file, split = IMAGES[name]
    data = load(f"clip_vitb32/images_{file}.npz")
    _, y = np.unique(data[f"label_{split}"], return_inverse=True)
    return data[f"emb_{split}"].astype(np.float32), y


def classes(name):
    """Return embeddings and classes as `images` does, and the names of the classes."""
    file, split = IMAGES[name]
    data = load(f"clip_vitb32/images_{file}.npz")
    return *images(name), [
        str(data["classname"][c]) for c in np.unique(data[f"label_{split}"])
    ]


def vocabulary(name="lvis+imagenet"):
    """Return nouns with vectors, and with synsets where there are any."""
    parts = [_nouns(part) for part in name.split("+")]
    names, vectors, synsets = (np.concatenate(columns) for columns in zip(*parts))
    return Vocabulary(list(names), vectors.astype(np.float32), list(synsets))


def without_animals(vocabulary):
    """Return the nouns that WordNet does not place below `animal.n.01`."""
    from sklearn_vlclust.datasets.nouns import noun_hierarchy

    hierarchy = noun_hierarchy()
    animal = hierarchy.position("animal.n.01")
    kept = [
        synset is None or animal not in hierarchy.ancestors(hierarchy.position(synset))
        for synset in vocabulary.synsets
    ]
    return vocabulary[np.array(kept)]


def folder(name):
    """Return a folder of pictures, one folder per class."""
    path = FOLDER / "images" / name
    if not path.is_dir():
        raise FileNotFoundError(_missing(f"images/{name}"))
    return path


def cifar10_folder(path, per_class):
    """Write the first test pictures of each class of CIFAR-10 to a folder, once."""
    data = load("cifar10/cifar10_jpeg.npz")
    starts, labels = data["test_offsets"], data["test_labels"]
    for label, name in enumerate(data["class_names"]):
        folder = Path(path) / str(name)
        folder.mkdir(parents=True, exist_ok=True)
        for i in np.flatnonzero(labels == label)[:per_class]:
            picture = data["test_bytes"][starts[i] : starts[i + 1]].tobytes()
            (folder / f"{i:05d}.jpg").write_bytes(picture)
    return Path(path)


def _nouns(name):
    file = {
        "lvis": "text_lvis1203.npz",
        "imagenet": "text_imagenet1000.npz",
        "objects365": "text_objects365.npz",
        "openimages500": "text_openimages500.npz",
    }[name]
    data = load(f"clip_vitb32/{file}")
    synsets = np.full(len(data["name"]), None, dtype=object)
    for key in {"synset", "wnid"} & set(data):
        synsets[:] = data[key].tolist()
    # The one synset of LVIS that WordNet 3.0 does not have.
    synsets[synsets == "stop_sign.n.01"] = None
    return data["name"], data["emb"], synsets


def load(file):
    """Return the arrays of a file of the shared data."""
    try:
        return dict(np.load(FOLDER / file))
    except FileNotFoundError:
        raise FileNotFoundError(_missing(file)) from None


def _missing(file):
    return (
        f"there is no {file} in the folder of shared data; name the folder by the "
        "environment variable VLCLUST_TEST_DATA"
    )
