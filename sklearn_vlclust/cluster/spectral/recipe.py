"""What decides the cuts of graphs, and the number of clusters (our own)."""

from dataclasses import dataclass

from ..recipe import Recipe


@dataclass(frozen=True)
class SpectralRecipe(Recipe):
    """Graphs of nearest neighbors, their cuts, and the choice among these."""

    #: Candidate graphs as (gamma, self-affinity); gamma is the temperature of eq. 3 of
    #: CPP. In "sharp" the nearest neighbors dominate; "even" favors clusters of one
    #: size.
    natural: tuple[float, float] = (0.15, 1.0)
    sharp: tuple[float, float] = (0.06, 1.0)
    even: tuple[float, float] = (0.15, 1e-3)
    #: Diffusion-map weighting: weight of the last eigenvector relative to the first.
    last_weight: float = 0.3
    #: Starts of k-means for cuts without Ward's method.
    n_starts: int = 3
    #: Outliers: largest number of rounds in which they are trimmed; a cluster is loose
    #: if more than this share of its affinity to other rows leads out of it; and the
    #: largest share of all rows that may be trimmed, as outliers are few.
    trim_rounds: int = 10
    loose: float = 0.5
    most_trimmed: float = 0.1
    #: Take the trimmed cut if the sharp one cuts less than this share of what the
    #: natural one cuts: about half where large groups lie apart beside small ones,
    #: elsewhere nearly all. For averaged graphs, the share is multiplied by that of the
    #: normalized cuts, which grows where the sharp cut only isolates outliers.
    trim_below: float = 0.7
    #: The trimmed cut is for uneven sizes: the sharp cut's effective number of clusters
    #: must be below this share of the natural cut's.
    trim_clusters_below: float = 0.85
    #: Take the even cut if it costs less than this share of the natural cut's coding
    #: rate and cuts less than this multiple of its affinity: it cuts through groups
    #: that differ in size.
    even_rate_below: float = 0.95
    even_cut_below: float = 1.25
    #: Graphs are averaged over these numbers of axes: those between the two multiples
    #: of the number of clusters, and at least the `least_graphs` greatest. With a
    #: single number, accuracy is a lottery: ten points may lie between one number and
    #: the next. With fewer axes than clusters, a large group is split while small ones
    #: are merged.
    widths: tuple[int, ...] = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256)
    widths_per_cluster: tuple[float, float] = (1.4, 4.2)
    least_graphs: int = 3
    #: At most one axis per so many columns of the joint rows; the last axes are noise.
    columns_per_axis: int = 4
    #: Number of nearest neighbors in the large graphs. The small ones have half the
    #: mean cluster size, but at least `few_neighbors`: most of 32 neighbors would lie
    #: outside a small cluster.
    n_neighbors: int = 32
    few_neighbors: int = 10
    #: Number of principal axes for discriminant analysis, and the weight of the
    #: identity in the covariance within clusters.
    discriminant_axes: int = 128
    shrinkage: float = 0.3
    #: Largest ratio of a trimmed cut's affinity after a round to that at the start.
    trimmed_growth: float = 1.5
    #: Classify by directions unless that misplaces this share of the rows more than
    #: linear discriminant analysis does.
    directions_lose: float = 0.01
    #: Cuts that are merged by coding rate: largest number of extra clusters, number of
    #: neighbors, temperature, and exponents p in `growth / min_size**p`. p = 0 merges
    #: small groups first; p = 0.5 lets the halves of a large group merge first.
    n_surplus: int = 5
    merged_neighbors: int = 16
    merged_gamma: float = 0.06
    powers: tuple[float, ...] = (0, 0.5)
    #: A hundredth less coding rate is worth a tenth of the normalized cut.
    rate_weight: float = 10
    #: Number of candidates that a cluster may merge with: the most similar second
    #: moments.
    n_candidates: int = 15
    #: Rows on which coding rates are computed.
    rated_rows: int = 20_000


@dataclass(frozen=True)
class NClustersRecipe(Recipe):
    """The estimate of the number of clusters."""

    #: Rows in the sample, and in the larger one that is drawn if the clusters found in
    #: the first have fewer than `few_rows` rows each.
    sample_rows: int = 4000
    most_rows: int = 10_000
    few_rows: int = 16
    #: Numbers compared: all up to `all_up_to`, and `n_values` more on a logarithmic
    #: scale, as long as clusters have `least_rows` rows.
    all_up_to: int = 16
    n_values: int = 45
    least_rows: int = 4
    #: Fewest rows that are halved.
    least_halves: int = 8
    #: Views of the rows, used in turn: number of half-whitened principal axes, and the
    #: power of the variance that they are divided by; compact tree: neighbors that a
    #: row is averaged with, and rounds; diffusion tree: nearest neighbors, and steps.
    views: tuple[tuple[int, float, int, int, int, int], ...] = (
        (64, 0.5, 4, 1, 10, 8),
        (128, 0.3, 0, 0, 6, 8),
        (128, 0.5, 6, 2, 6, 16),
        (32, 0.5, 0, 0, 10, 16),
        (256, 0.5, 4, 1, 10, 8),
        (128, 0.3, 5, 1, 10, 16),
    )
    #: Number of halvings of `halved_rows` rows. Fewer rows get more, in the same time,
    #: between these numbers.
    n_halvings: int = 6
    halved_rows: int = 4000
    fewest_halvings: int = 3
    most_halvings: int = 36
    #: Diffusion: random projections of its rows, temperature of its graph, and rounds
    #: of Sinkhorn scaling.
    diffused_width: int = 256
    temperature: float = 0.1
    sinkhorn_rounds: int = 3
    #: Price per nat of a partition, relative to the best agreement, as (tree, price): a
    #: split pays if a larger share of the added information is reproduced.
    prices: tuple[tuple[str, float], ...] = (
        ("compact", 0.7),
        ("diffusion", 0.7),
        ("diffusion", 0.9),
    )
    #: The best agreement, which prices refer to, is taken without this many coarsest
    #: cuts.
    n_coarsest: int = 2
    #: Halvings after which one of the two diffusions (signed or absolute) is dropped.
    diffusion_trials: int = 2
    #: An agreement above `sure` proves structure. A lower one must be this much higher
    #: than Gaussian rows reach.
    sure: float = 0.7
    beyond_gaussian: float = 0.1
    #: Number of runner-ups, and the smallest ratio between candidates.
    n_runners_up: int = 3
    least_ratio: float = 1.3
    #: Side, in pixels, that images are shrunk to, if they have no embeddings.
    image_side: int = 16
