"""What the library says, in the words of the command line.

The library's messages name parameters of Python; people at a terminal know options.
"""

import re

# A pattern of the library's text, and what stands for it.
_PHRASES = [
    (
        r"(\d+) of n_clusters=(\d+) clusters (?:has|have) samples: there are no more "
        r"groups in X that differ\.",
        r"Only \1 of the \2 clusters hold pictures: no more groups differ.",
    ),
    (
        r"(\d+) of n_clusters=(\d+) clusters (?:has|have) samples, as X has only "
        r"([\d,]+) distinct rows?\.",
        r"Only \1 of the \2 clusters hold pictures: different pictures: \3.",
    ),
    # Of scikit-learn's k-means, before one of ours that says it better
    (r"Number of distinct clusters \(\d+\) found smaller than n_clusters.*", ""),
    (
        r"No groups were found in ([\d,]+) distinct rows: .*",
        r"No groups were found in \1 different pictures, so they are one cluster. Give "
        r"more pictures, another --encoder, or a number by --k.",
    ),
    (
        r"n_samples=(\d+) should be >= n_clusters=(\d+)\.",
        r"--k \2 is more than the \1 pictures.",
    ),
    (
        r"n_clusters=(.+?) is not an integer between 1 and the (\d+) rows of "
        r"samples_\.",
        r"--k \1 is not between 1 and \2, the number of pictures that differ.",
    ),
    (
        r"The best number of clusters, (\d+), is the greatest of k_range: .*",
        r"\1 clusters are the most that --max-k allows: more may be better.",
    ),
    (
        r"k_range ends at (\d+), but (\d+) clusters would be better: .*",
        r"--max-k allows \1 clusters, but \2 would be better.",
    ),
    (r" Raise generator_epochs, or leave calibration out with n_rounds=0\.", ""),
    (
        r" and use CLIPEmbedder\(model='([^']+)', pretrained=PATH\)",
        r" and give --encoder \1/FILE",
    ),
    (
        r"CLIPEmbedder\(model='([^']+)', pretrained='([^']+)'\) cannot",
        r"--encoder \1/\2 cannot",
    ),
    (r"\bembedder='offline'", "--encoder offline"),
    (r"\b(?:model|pretrained)='", "--encoder '"),
    (r"\bcache='", "--cache '"),
    (r"\bbatch_size=(\d+)", r"--batch-size \1"),
    (r"\bn_clusters=(\d+)", r"--k \1"),
]
_COMPILED = [(re.compile(pattern, re.DOTALL), phrase) for pattern, phrase in _PHRASES]


def rephrase(text):
    """Return a message of the library as the command line says it; "" is silence."""
    for pattern, phrase in _COMPILED:
        text = pattern.sub(phrase, text)
    return text
