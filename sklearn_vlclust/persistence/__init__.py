"""Model files: safetensors with a JSON header that names classes of this library."""

from ._model_files import load_model, read_attribute, save_model
from ._tensor_files import naming

__all__ = ["load_model", "naming", "read_attribute", "save_model"]
