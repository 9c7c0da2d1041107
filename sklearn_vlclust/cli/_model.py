"""What a run leaves for `predict`, `search` and `report`: the folder model/."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._backend._files import write_bytes_atomically
from .._version import __version__
from ..persistence import load_model, save_model
from ._encoders import make_encoder
from ._errors import USAGE, CommandError

FORMAT = 1
DESCRIPTION = "model.json"
_SEARCH = "search"
_OPTIONAL = ("selector", "captioner")


@dataclass
class Model:
    """A clustering of images, with what predicting, searching and reporting need."""

    estimator: Any  # fitted on embeddings
    search: Any  # an ImageSearch; holds paths and embeddings of the images
    names: list[list[str]]  # of each cluster, best first; empty without words
    encoder: str  # as `make_encoder` takes it
    method: str  # a value of ``--method``
    source: str  # folder of the pictures
    # What chose the number of clusters and what named them, if not the estimator
    selector: Any = None
    captioner: Any = None

    @property
    def embeddings(self):
        """Embeddings of the images, unit rows."""
        return self.search.embeddings

    @property
    def title(self):
        """Name of the folder of the pictures."""
        return os.path.basename(self.source) or self.source

    def check_encoder(self):
        """Raise ValueError unless the encoder is the one that embedded the images."""
        now, then = self.search.embedder.encoder_id, self.search.encoder_id_
        if now != then:
            raise ValueError(
                f"The images of this model were embedded by {then}, but {self.encoder} "
                f"is {now}: cluster again."
            )

    def save(self, folder):
        """Write the model to a folder; it is whole once its description is there."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DESCRIPTION).unlink(missing_ok=True)
        self.estimator.save(_file(folder, "estimator"))
        self.search.save(folder / _SEARCH)
        parts = [part for part in _OPTIONAL if getattr(self, part) is not None]
        for part in _OPTIONAL:
            _file(folder, part).unlink(missing_ok=True)
        for part in parts:
            save_model(getattr(self, part), _file(folder, part))
        description = {
            "format": FORMAT,
            "version": __version__,
            "method": self.method,
            "encoder": self.encoder,
            "encoder_id": self.search.encoder_id_,
            "source": self.source,
            "names": self.names,
            "parts": parts,
        }
        text = json.dumps(description, indent=1) + "\n"
        write_bytes_atomically(folder / DESCRIPTION, text.encode())

    @classmethod
    def load(cls, folder, *, device="auto", **encoder):
        """Read a model that :meth:`save` wrote, from its folder or the one above.

        `device` and `encoder` are arguments of `make_encoder`.

        Raises
        ------
        CommandError
            If there is no model.
        ValueError
            If it is of another format, or a file of it is damaged.
        """
        from ..neighbors import ImageSearch

        folder = find_model(folder)
        description = _read_description(folder / DESCRIPTION)
        embedder = make_encoder(description["encoder"], device=device, **encoder)
        if hasattr(embedder, "precision"):
            # On another device, "auto" might choose another one, with other vectors.
            embedder.precision = description["encoder_id"].split("/")[-2]
        estimator = load_model(_file(folder, "estimator")).set_params(device=device)
        names = description["names"]
        if getattr(estimator, "corrections_", None):  # since they were written
            corrected = getattr(estimator, "cluster_names_", [])
            names = [[str(name) for name in own] for own in corrected]
        return cls(
            estimator,
            ImageSearch.load(folder / _SEARCH).set_params(embedder=embedder),
            names,
            *(description[name] for name in ("encoder", "method", "source")),
            **{part: load_model(_file(folder, part)) for part in description["parts"]},
        )


def names_of(estimator):
    """Return the names of each cluster, best first; nothing without words."""
    names = getattr(estimator, "cluster_names_", [])
    return [[str(name) for name in row] for row in names]


def _file(folder, part):
    return folder / f"{part}.safetensors"


def find_model(folder):
    """Return the model folder that `folder` is or holds.

    Raises
    ------
    CommandError
        If there is none.
    """
    folder = Path(os.path.abspath(os.path.expanduser(folder)))
    for place in (folder, folder / "model"):
        if (place / DESCRIPTION).is_file():
            return place
    raise CommandError(
        f"{str(folder)!r} holds no model: name the --out folder of a finished "
        "vlclust cluster.",
        USAGE,
    )


def _read_description(file):
    try:
        description = json.loads(file.read_text("utf-8"))
        found = description["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{str(file)!r} is damaged ({type(error).__name__}: {error})."
        ) from error
    if found != FORMAT:
        raise ValueError(
            f"{str(file)!r} has format {found}; this version {__version__} reads "
            f"format {FORMAT}."
        )
    return description
