"""From the parameter `embedder` of an estimator to an encoder."""

from sklearn.base import clone

from ._distributed import gather, is_dask


def make_embedder(embedder, verbose=0):
    """Return the encoder that an estimator's parameter `embedder` stands for.

    Parameters
    ----------
    embedder : None, "offline" or encoder instance
        None is :class:`CLIPEmbedder` as it comes, "offline" :class:`OfflineEmbedder`;
        an instance is cloned, so that the user's own is left as it is.
    verbose : int, default=0
        Passed to an encoder that is made here.

    Returns
    -------
    encoder : object
        With `transform` for images and `encode_texts` for words.
    """
    if embedder is None:
        from ._clip import CLIPEmbedder

        return CLIPEmbedder(verbose=verbose)
    if isinstance(embedder, str):  # "offline", by parameter validation
        from ._offline import OfflineEmbedder

        return OfflineEmbedder(verbose=verbose)
    return clone(embedder)


def embed_images(embedder, images):
    """Embed images; those of a dask collection by its workers, if the encoder can.

    Encoders of this library can. Others get the images as a list or an array.
    """
    if is_dask(images) and not hasattr(embedder, "_to_workers"):
        images = gather(images)
    return embedder.transform(images)
