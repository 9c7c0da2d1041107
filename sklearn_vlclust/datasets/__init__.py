"""Where data comes from: folders of images, and WordNet."""

from ._data_home import clear_data_home, get_data_home
from ._folder import list_images
from ._sample_images import fetch_sample_images
from ._wordnet import fetch_wordnet

__all__ = [
    "clear_data_home",
    "fetch_sample_images",
    "fetch_wordnet",
    "get_data_home",
    "list_images",
]
