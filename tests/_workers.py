"""Worker processes of Dask that start in a moment."""

import multiprocessing
from contextlib import contextmanager

import pytest


@contextmanager
def forked_workers():
    """Fork workers from a process that has imported the library, and nothing more."""
    dask = pytest.importorskip("dask")
    distributed = pytest.importorskip("distributed")
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("worker processes take long to start here")
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        modules = ["distributed", "sklearn_vlclust.cluster"]
        distributed.utils.get_mp_context().set_forkserver_preload(modules)
        yield distributed
