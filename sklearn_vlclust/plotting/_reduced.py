"""Decoding images that are shown small."""

from contextlib import suppress
from io import BytesIO

from PIL import Image

from ..embedding._images import ImageSource


def decode_reduced(source, side):
    """Decode an image, with no more pixels of a JPEG file than it is shown with.

    A JPEG decoder can leave out what is too fine to be seen: of a photograph of 12
    megapixels that is most of the time and of the memory.

    Parameters
    ----------
    source : ImageSource
        The image.
    side : int
        Pixels that either side will be shown with, at most.

    Returns
    -------
    picture : PIL.Image.Image
        As of :meth:`ImageSource.decode`. That of a JPEG file may be a half, a quarter
        or an eighth as wide and as high, but has at least ``2 * side`` pixels in
        either direction, so that it looks the same when it is brought to `side`.

    Raises
    ------
    UnreadableImageError
        If it cannot be decoded.
    """
    if source._is_path:
        data = source._read()
        # What fails here is decoded as a whole, and that says what is wrong with it.
        with suppress(Exception), Image.open(BytesIO(data)) as file:
            whole = file.size
            file.draft(None, (2 * side, 2 * side))
            if file.size != whole:
                file.load()
                return ImageSource(file, 0).decode()
    return source.decode()
