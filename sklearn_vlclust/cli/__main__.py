"""``python -m sklearn_vlclust.cli`` is ``vlclust``."""

from . import main

if __name__ == "__main__":
    main()
