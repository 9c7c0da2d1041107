"""Kernel matching of GCC: all clusters off one kernel matrix against a loop over them.

Loss and gradients of eq. 9 on a batch of real and one of generated samples. The loops
are what one would write from the paper: over the rows of each cluster, with kernels of
their own, or over masks of one kernel matrix. All take turns, so that the ratio holds
on a busy machine as well. Bar at 100 clusters and batches of 512: at least 5 times as
fast as either.
"""

import torch

from sklearn_vlclust._backend._device import new_generator
from sklearn_vlclust.cluster.generative.losses import kernel_matching

from .machine import take_turns

SIZES = {
    "toy": {"batch_sizes": [32], "n_clusters": [10], "n_features": 16, "repeats": 1},
    "quick": {
        "batch_sizes": [128],
        "n_clusters": [10, 100],
        "n_features": 512,
        "repeats": 5,
    },
    "full": {
        "batch_sizes": [128, 256, 512],
        "n_clusters": [10, 100],
        "n_features": 512,
        "repeats": 20,
    },
}
# Batch and clusters of the bar: the batch that training takes of embeddings.
BAR_AT = 512, 100


def one_pass(real, labels, generated, wanted, n_clusters):
    """Eq. 9 as the library computes it, for any number of clusters."""
    return kernel_matching(real, labels, generated, wanted)


def loop_over_rows(real, labels, generated, wanted, n_clusters):
    """Eq. 9 with the kernels of each cluster's rows."""
    scale = median_square(real, generated)

    def kernel(x, y):
        return torch.exp(-torch.cdist(x, y).square() / (2 * scale))

    def mean_of_others(x):
        return (kernel(x, x).sum() - len(x)) / (len(x) * (len(x) - 1))

    terms = []
    for k in range(n_clusters):
        r, g = real[labels == k], generated[wanted == k]
        if min(len(r), len(g)) > 1:
            across = kernel(r, g).mean()
            terms.append(mean_of_others(r) + mean_of_others(g) - 2 * across)
    return torch.stack(terms).mean()


def loop_over_masks(real, labels, generated, wanted, n_clusters):
    """Eq. 9 with the indicators of each cluster, as printed."""
    rows, n = torch.cat([real, generated]), len(real)
    norms = rows.square().sum(dim=1)
    squares = norms[:, None] + norms - 2 * rows @ rows.T
    kernel = torch.exp(-squares / (2 * median_square(real, generated)))
    others = 1 - torch.eye(n, dtype=kernel.dtype)
    terms = []
    for k in range(n_clusters):
        r, g = (labels == k).to(kernel.dtype), (wanted == k).to(kernel.dtype)
        if min(r.sum(), g.sum()) > 1:
            term = real.new_zeros(())
            for a, b, part, counted, sign in (
                (r, r, kernel[:n, :n], others, 1),
                (g, g, kernel[n:, n:], others, 1),
                (r, g, kernel[:n, n:], 1, -2),
            ):
                pairs = a[:, None] * b * counted
                term = term + sign * (pairs * part).sum() / pairs.sum()
            terms.append(term)
    return torch.stack(terms).mean()


FUNCTIONS = {
    "one pass": one_pass,
    "loop over clusters, their rows": loop_over_rows,
    "loop over clusters, masks": loop_over_masks,
}


def make_batch(batch_size, n_clusters, n_features, seed=0):
    """Return features and labels of real and of generated samples."""
    generator = new_generator(seed)
    batch = []
    for _ in range(2):
        features = torch.randn(batch_size, n_features, generator=generator)
        labels = torch.randint(n_clusters, (batch_size,), generator=generator)
        batch += [features.requires_grad_(True), labels]
    return batch


def median_square(real, generated):
    """Return the square of the bandwidth, the median distance."""
    return torch.pdist(torch.cat([real, generated]).detach()).median().square()


def run(batch_sizes, n_clusters, n_features, repeats):
    tables = {}
    for batch_size in batch_sizes:
        for k in n_clusters:
            batch = make_batch(batch_size, k, n_features)
            seconds = take_turns(_steps(batch, k), repeats)
            ours = seconds["one pass"]
            is_bar = (batch_size, k) == BAR_AT
            title = f"{k} clusters, 2 x {batch_size} samples, {n_features} features"
            tables[title] = [
                {
                    "what": name,
                    "ms": 1000 * each,
                    "one_pass_times_as_fast": each / ours,
                    "bar": ">= 5" if name != "one pass" and is_bar else "",
                }
                for name, each in seconds.items()
            ]
    return tables


def _steps(batch, k):
    """Loss and gradients, by each of the functions."""
    return {
        name: lambda function=function: function(*batch, k).backward()
        for name, function in FUNCTIONS.items()
    }
