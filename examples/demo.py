"""
From a folder of pictures to named clusters
===========================================

What ``vlclust cluster`` does, with sample pictures where no folder is given: it embeds
pictures, clusters them, names the clusters, prints a table and writes a report. It
needs neither a model hub nor a GPU::

    python examples/demo.py                    # sample pictures, 9 kinds
    python examples/demo.py FOLDER -k 7        # your own

or ``make demo IMAGES=FOLDER K=7``.
"""

import argparse
from pathlib import Path

from sklearn_vlclust.cli import main as vlclust
from sklearn_vlclust.datasets import fetch_sample_images


def main(arguments=None):
    """Run the demo and end the process."""
    parser = argparse.ArgumentParser(description="Cluster and name pictures.")
    parser.add_argument("folder", nargs="?", help="your pictures; default: samples")
    parser.add_argument("-k", "--n-clusters", default="9", help="a number, or auto")
    parser.add_argument("--output", default="demo-output")
    parser.add_argument("--seed", default="0")
    options = parser.parse_args(arguments)
    folder = options.folder
    if folder is None:
        print("Pictures from Tux Paint (sample set)")
        try:
            folder = Path(fetch_sample_images()[0]).parents[1]
        except (LookupError, OSError) as error:
            parser.exit(1, f"{parser.prog}: {error}\n")
    settings = {
        "--k": options.n_clusters,
        "--encoder": "offline",
        "--seed": options.seed,
        "--out": options.output,
    }
    pairs = [str(part) for pair in settings.items() for part in pair]
    vlclust(["cluster", *pairs, "--overwrite", "--", str(folder)])


if __name__ == "__main__":
    main()
