"""
From a folder of pictures to named clusters
===========================================

Embeds pictures, clusters them, names the clusters, prints a table and writes a contact
sheet. It needs neither a model hub nor a GPU::

    python examples/demo.py                    # sample pictures, 9 kinds
    python examples/demo.py FOLDER -k 7        # your own

or ``make demo IMAGES=FOLDER K=7``.
"""

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from sklearn_vlclust import MCAClustering, OfflineEmbedder
from sklearn_vlclust.datasets import fetch_sample_images, get_data_home, list_images
from sklearn_vlclust.plotting import ContactSheetDisplay


def main(arguments=None):
    """Run the demo; return the fitted estimator."""
    parser = argparse.ArgumentParser(description="Cluster and name pictures.")
    parser.add_argument("folder", nargs="?", help="your pictures; default: samples")
    parser.add_argument("-k", "--n-clusters", type=int, default=9)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        return run(options)
    except (LookupError, OSError, ValueError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")


def run(options):
    """Embed, cluster, name, show."""
    started = time.perf_counter()
    paths = list_images(options.folder) if options.folder else fetch_sample_images()
    print(f"{len(paths):,} pictures from {options.folder or 'Tux Paint (sample set)'}")

    embedder = OfflineEmbedder(
        cache=get_data_home() / "embeddings", on_error="skip", verbose=1
    )
    X = embedder.fit_transform(paths)
    for path, reason in embedder.errors_:
        print(f"left out {path}: {reason}")
    paths = paths[embedder.kept_]

    print("Clustering with all nouns of WordNet (the first run embeds them)")
    mca = MCAClustering(
        options.n_clusters, embedder=embedder, random_state=options.seed
    ).fit(X)
    print_table(mca)

    options.output.mkdir(parents=True, exist_ok=True)
    sheet = options.output / f"sheet-{time.strftime('%Y%m%d-%H%M%S')}.png"
    display = ContactSheetDisplay.from_estimator(mca, paths, embeddings=X)
    display.plot().figure_.savefig(sheet, dpi=100)
    print(f"Contact sheet: {sheet} ({time.perf_counter() - started:.0f} s in all)")
    return mca


def print_table(mca):
    """Print cluster, size and names."""
    print(f"\n{'cluster':>7}  {'size':>5}  names")
    for cluster, names in enumerate(mca.cluster_names_):
        size = (mca.labels_ == cluster).sum()
        print(f"{cluster:7d}  {size:5d}  {', '.join(names[:4])}")
    print(f"\nWeight of the words: {mca.semantic_weight_:.2f} (0 not used, 1 fully)")


if __name__ == "__main__":
    main()
