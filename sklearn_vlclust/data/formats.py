"""Formats of pictures: those that are decoded, and names of those that are not."""

import functools
import re
from importlib import import_module
from typing import NamedTuple

from PIL import Image

# Formats of Pillow that are no pictures of their own, that accept nearly any file, or
# for which another program would be started.
_NOT_READ = {
    "BUFR",
    "EPS",
    "FITS",
    "GRIB",
    "HDF5",
    "IM",
    "IMT",
    "IPTC",
    "MPEG",
    "PCD",
    "SPIDER",
    "WMF",
}
# Tried first; the others follow, and those that accept anything come last.
_FIRST = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_LAST = ("PCX", "TGA")
# Bytes of a file by which its format is known.
HEAD = 256
# Of these formats files are listed; Pillow knows more that nobody keeps pictures in.
_LISTED = (
    *_FIRST,
    "JPEG2000",
    "AVIF",
    "HEIF",
    "JXL",
    "QOI",
    "PSD",
    "DDS",
    "ICNS",
    "ICO",
    "PCX",
)
# Other files may start with the few bytes of these: their header must be sound too.
SHORT_MAGIC = {"BMP", "PPM", "DDS", "ICO", "PCX", "TGA"}

_HEIF_BRANDS = rb"hei[cxms]|hev[cxms]|mif[12]|msf1"
_RAW_NAMES = re.compile(
    r"\.(nef|nrw|arw|srf|sr2|dng|cr2|cr3|crw|orf|rw2|raf|pef|srw|3fr|iiq|x3f|mrw|erf)$",
    re.IGNORECASE,
)
RAW = "raw file of a camera"


class Kind(NamedTuple):
    """What a file is that is not decoded here.

    Attributes
    ----------
    name : str
        As in "it is a {name}".
    install : str
        What makes Pillow read it, as pip takes it; "" where nothing does.
    is_picture : bool
        Whether it shows a picture, as far as its owner is concerned.
    """

    name: str
    install: str = ""
    is_picture: bool = True

    @property
    def reason(self) -> str:
        """Why a file of this kind is left out."""
        article = "an" if self.name.startswith(("OpenEXR", "SVG")) else "a"
        if self.install:
            return f"{self.name} pictures need `pip install {self.install}`"
        if self.is_picture:
            return f"it is {article} {self.name}; export it as JPEG, PNG or TIFF"
        return f"it is {article} {self.name}, not a picture"


# What a file of a kind starts with.
_KINDS = [
    (rb".{4}ftyp.{0,24}?avi[fs]", Kind("AVIF", "'pillow>=11.3'")),
    (rb".{4}ftyp(?:" + _HEIF_BRANDS + rb")", Kind("HEIC", "pillow-heif")),
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", Kind("JPEG XL", "pillow-jxl-plugin")),
    (rb".{4}ftypcrx |II\*\0.{4}CR|IIR[OS]|MMOR|IIU\0|FUJIFILMCCD-RAW", Kind(RAW)),
    (rb"FOVb|\0MRM|II\x1a\0\0\0HEAPCCDR", Kind(RAW)),
    (rb"8BPS", Kind("Photoshop file (PSD)")),
    (rb"\x00\x00\x01\x00", Kind("Windows icon (ICO)")),
    (rb"DDS ", Kind("texture (DDS)")),
    (rb"\x0a[\x00\x02\x03\x05]\x01[\x01\x02\x04\x08]", Kind("PCX picture")),
    (rb"gimp xcf", Kind("GIMP file (XCF)")),
    (rb"\x76\x2f\x31\x01", Kind("OpenEXR picture")),
    (rb"#\?R(?:ADIANCE|GBE)", Kind("Radiance picture (HDR)")),
    (rb"II\xbc", Kind("JPEG XR picture")),
    (rb"SIMPLE  =", Kind("FITS file of astronomy")),
    (rb"AT&TFORM", Kind("DjVu document", is_picture=False)),
    (rb"%PDF", Kind("PDF document", is_picture=False)),
    (rb"%!PS|\xc5\xd0\xd3\xc6", Kind("PostScript document", is_picture=False)),
    (
        rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml.*<)?(?:!--.*<)?(?:!DOCTYPE )?svg",
        Kind("SVG drawing", is_picture=False),
    ),
    (
        rb"(?i:(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head))",
        Kind("web page (HTML)", is_picture=False),
    ),
    (rb".{4}ftyp|RIFF.{4}AVI |\x1aE\xdf\xa3", Kind("video", is_picture=False)),
    (
        rb"version https://git-lfs",
        Kind("pointer of Git LFS (`git lfs pull` gets the file)", is_picture=False),
    ),
]
# Raw files start as TIFF files do, and some HEIC files as AVIF files do.
_NOT_WHAT_IT_SEEMS = {"TIFF": Kind(RAW), "AVIF": Kind("HEIC", "pillow-heif")}
_STARTS = [(re.compile(start, re.DOTALL), kind) for start, kind in _KINDS]


@functools.cache
def readable_formats() -> tuple[str, ...]:
    """Return the names of the formats that are decoded, in the order they are tried.

    Plugins of Pillow that are installed are made known to it.
    """
    for name in PLUGINS:
        load_plugin(name)
    Image.init()
    others = [i for i in Image.ID if i not in {*_FIRST, *_LAST, *_NOT_READ}]
    return tuple(i for i in (*_FIRST, *others, *_LAST) if i in Image.OPEN)


# Module, what to call in it, and the format that it makes known.
PLUGINS = {
    "pillow-heif": ("pillow_heif", "register_heif_opener", "HEIF"),
    "pillow-jxl-plugin": ("pillow_jxl", "", "JXL"),
    "pillow-avif-plugin": ("pillow_avif", "", "AVIF"),
}


def load_plugin(name: str) -> str:
    """Register a plugin of Pillow; return what is wrong with it, "" if it is there."""
    module, register, format = PLUGINS[name]
    if format == "AVIF" and _decodes_avif():
        return ""
    try:
        plugin = import_module(module)
        if register and format not in Image.OPEN:
            getattr(plugin, register)()
    except ModuleNotFoundError:
        return "not installed"
    except Exception as error:  # a binary for another system, say
        return f"broken: {error}"
    return ""


def _decodes_avif() -> bool:
    Image.init()
    _, accept = Image.OPEN.get("AVIF", (None, None))
    return accept is not None and accept(b"\0\0\0\x1cftypavif\0\0\0\0") is True


def is_tga(path: str) -> bool:
    """Return whether a file is named like a TGA picture, which has no other mark."""
    return path.lower().endswith((".tga", ".vda", ".icb", ".vst"))


def format_of(head: bytes, path: str = "") -> str | None:
    """Return the name of the format that a file starts like, if it is decoded here.

    Parameters
    ----------
    head : bytes
        The first `HEAD` bytes.
    path : str, default=""
        Its name tells a TGA picture.
    """
    readable = readable_formats()
    for name in _LISTED:
        _, accept = Image.OPEN.get(name, (None, None))
        if not head or name not in readable or accept is None:
            continue
        # accept returns a text where Pillow was built without the decoder.
        if accept(head) is True:
            other = _NOT_WHAT_IT_SEEMS.get(name)
            if other is None or kind_of(head, path) != other:
                return name
    return "TGA" if head and is_tga(path) else None


def kind_of(head: bytes, path: str = "") -> Kind | None:
    """Return what a file is, of the kinds that are not decoded here.

    Parameters
    ----------
    head : bytes
        The first `HEAD` bytes.
    path : str, default=""
        Its name tells the raw files that start as TIFF files do.
    """
    if head[:4] in (b"II*\0", b"MM\0*") and _RAW_NAMES.search(path):
        return Kind(RAW)
    for start, kind in _STARTS:
        if start.match(head):
            return kind
    return None
