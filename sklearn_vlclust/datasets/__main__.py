"""`python -m sklearn_vlclust.datasets wordnet`: set up what tests and demo need."""

import argparse

from ._wordnet import fetch_wordnet


def main(arguments=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m sklearn_vlclust.datasets")
    parser.add_argument("what", choices=["wordnet"])
    parser.add_argument("--data-home", help="folder instead of the default")
    options = parser.parse_args(arguments)
    try:
        folder = fetch_wordnet(options.data_home, debian=True)
    except LookupError as error:
        parser.exit(1, f"{error}\n")
    print(f"WordNet 3.0 is in {folder}")


if __name__ == "__main__":
    main()
