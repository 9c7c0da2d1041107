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
_ESTIMATOR, _SEARCH = "estimator.safetensors", "search"
_OPTIONAL = ("selector", "captioner")


@dataclass
class Model:
    """A clustering of images, and what it takes to look at it again.

    Parameters
    ----------
    estimator : clusterer
        Fitted on embeddings.
    search : ImageSearch
        Holds paths and embeddings of the images.
    names : list of lists of str
        Names of each cluster, best first; empty without words.
    encoder : str
        As `make_encoder` takes it.
    method : str
        Of the estimator, as ``--method`` takes it.
    source : str
        Folder of the pictures.
    selector, captioner : estimators or None
        What chose the number of clusters and what named them, if not `estimator`.
    """

    estimator: Any
    search: Any
    names: list[list[str]]
    encoder: str
    method: str
    source: str
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
        self.estimator.save(folder / _ESTIMATOR)
        self.search.save(folder / _SEARCH)
        for part in _OPTIONAL:
            file = folder / f"{part}.safetensors"
            if getattr(self, part) is None:
                file.unlink(missing_ok=True)
            else:
                save_model(getattr(self, part), file)
        description = {
            "format": FORMAT,
            "version": __version__,
            "method": self.method,
            "encoder": self.encoder,
            "encoder_id": self.search.encoder_id_,
            "source": self.source,
            "names": self.names,
            "parts": [p for p in _OPTIONAL if getattr(self, p) is not None],
        }
        text = json.dumps(description, indent=1) + "\n"
        write_bytes_atomically(folder / DESCRIPTION, text.encode())

    @classmethod
    def load(cls, folder, *, device="auto", batch_size=None, cache=None):
        """Read a model that :meth:`save` wrote.

        Parameters
        ----------
        folder : path
            The folder, or the output folder that it is in.
        device, batch_size, cache
            Of the encoder, which is the `embedder` of the search.

        Returns
        -------
        model : Model

        Raises
        ------
        CommandError
            If there is no model.
        ValueError
            If it is of another format, or a file of it is damaged.
        """
        folder = find_model(folder)
        description = _read_description(folder / DESCRIPTION)
        encoder = make_encoder(
            description["encoder"], device=device, batch_size=batch_size, cache=cache
        )
        if hasattr(encoder, "precision"):
            # On another device the automatic one may differ, and with it the vectors.
            encoder.precision = description["encoder_id"].split("/")[-2]
        search = _load_search(folder / _SEARCH, encoder)
        parts = {
            part: load_model(folder / f"{part}.safetensors")
            for part in description["parts"]
        }
        return cls(
            load_model(folder / _ESTIMATOR).set_params(device=device),
            search,
            description["names"],
            description["encoder"],
            description["method"],
            description["source"],
            **parts,
        )


def _load_search(folder, encoder):
    """Read a saved search, with the encoder of this machine."""
    from ..neighbors import ImageSearch

    return ImageSearch.load(folder).set_params(embedder=encoder)


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
