"""``python -m sklearn_vlclust.cli`` is ``vlclust``."""

from . import main

main()
