"""Model files: safetensors with a JSON header that names classes of this library."""

from ._model_files import load_model, save_model

__all__ = ["load_model", "save_model"]
