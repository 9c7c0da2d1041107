"""An inverted-file index of unit rows."""

import os
import shutil

import numpy as np
from sklearn.utils import gen_batches

from .knn import CELL_SAMPLE, _cell_centers, _faiss, nearest

# Candidates found by codes, as a multiple of the neighbors asked for; their cosines are
# recomputed from the rows.
REFINED = 4
REFINED_BYTES = 64 * 2**20
ADDED_ROWS = 16_384
# Rows on which the number of cells to visit is tuned, and its growth factor.
MEASURED_ROWS, STEP = 256, 1.4


class Cells:
    """faiss's inverted-file index (IVF) of one-byte codes, trained and filled.

    A query visits `n_probe` cells. `file` is what the index is memory-mapped from, if
    it is.
    """

    def __init__(self, index, n_probe, file=None):
        self.index = index
        self.n_probe = n_probe
        self.file = file
        self._mapped = None
        if file is not None:
            self._mapped = open(file, "rb")  # noqa: SIM115
            self._mapped_bytes = os.fstat(self._mapped.fileno()).st_size

    def __getstate__(self):
        # faiss would pickle only the file name of a mapped index.
        whole = self if self.file is None else self.read(self.file, self.n_probe, False)
        return dict(whole.__dict__)

    @classmethod
    def build(cls, rows, k, recall, rng):
        """Index unit rows, read in blocks; return the cells and the recall they have.

        The recall is the share of the `k` nearest neighbors that are found, and should
        reach `recall`. `rng` draws the rows that k-means sees and those that are
        searched.
        """
        n, d = rows.shape
        centers = _cell_centers(rows, int(np.sqrt(n)), rng)
        sample = np.sort(rng.permutation(n)[: CELL_SAMPLE * len(centers)])
        with _faiss() as faiss:
            quantizer = faiss.IndexFlatIP(d)
            quantizer.add(centers)
            index = faiss.IndexIVFScalarQuantizer(
                quantizer,
                d,
                len(centers),
                faiss.ScalarQuantizer.QT_8bit,
                faiss.METRIC_INNER_PRODUCT,
            )
            index.train(np.ascontiguousarray(rows[sample]))
            for block in gen_batches(n, ADDED_ROWS):
                index.add(np.ascontiguousarray(rows[block]))
        cells = cls(index, 1)
        return cells, cells._set_n_probe(rows, k, recall, rng)

    def _set_n_probe(self, rows, k, recall, rng):
        queries = np.sort(rng.permutation(rows.shape[0])[:MEASURED_ROWS])
        expected, _ = nearest(rows[queries], rows, k + 1)
        while True:
            found, _ = self.search(rows[queries], rows, k + 1)
            # The row itself is always found, and does not count.
            shared = [len(np.intersect1d(a, b)) - 1 for a, b in zip(found, expected)]
            measured = float(np.mean(shared) / k)
            if measured >= recall or self.n_probe >= self.index.nlist:
                return measured
            self.n_probe = min(int(self.n_probe * STEP) + 1, self.index.nlist)

    def search(self, queries, rows, k):
        """Return the indices, (n, k), of the nearest rows, and their cosines."""
        indices = np.empty((len(queries), k), dtype=np.int64)
        cosines = np.empty((len(queries), k), dtype=np.float32)
        size = max(1, REFINED_BYTES // (4 * REFINED * k * rows.shape[1]))
        for block in gen_batches(len(queries), size):
            part = np.ascontiguousarray(queries[block], dtype=np.float32)
            candidates = self._candidates(part, min(REFINED * k, rows.shape[0]), k)
            indices[block], cosines[block] = _refine(part, rows, candidates, k)
        return indices, cosines

    def _candidates(self, queries, n_candidates, k):
        """Return the best rows by their codes; -1 where the cells hold fewer."""
        n_probe = self.n_probe
        self._check_file()
        with _faiss() as faiss:

            def search(x, n_probe):
                params = faiss.SearchParametersIVF(nprobe=n_probe)
                return self.index.search(x, n_candidates, params=params)[1]

            found = search(queries, n_probe)
            # Cells that hold fewer than `k` rows together: visit more.
            while (few := found[:, k - 1] < 0).any():
                n_probe = min(2 * n_probe, self.index.nlist)
                found[few] = search(queries[few], n_probe)
        return found

    def write(self, name):
        """Write the index to a file."""
        if self.file is not None:
            shutil.copyfile(self.file, name)
            return
        with _faiss() as faiss:
            faiss.write_index(self.index, str(name))

    @classmethod
    def read(cls, name, n_probe, mmap):
        """Read the index from a file, or map it."""
        with _faiss() as faiss:
            flags = faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY if mmap else 0
            index = faiss.read_index(str(name), flags)
            if mmap:  # its threads would still read the file after a search
                lists = faiss.downcast_InvertedLists(index.invlists)
                lists.prefetch_nthread = 0
        return cls(index, n_probe, str(name) if mmap else None)

    def _check_file(self):
        """Refuse a mapped file that is shorter now: reading would end the process."""
        if self._mapped is None:
            return
        if os.fstat(self._mapped.fileno()).st_size < self._mapped_bytes:
            raise ValueError(f"{self.file!r} was truncated after it was opened.")

    def check(self, shape):
        """Raise ValueError unless this is an index of rows of a shape."""
        found = self.index.ntotal, self.index.d
        if found != shape or not 0 < self.n_probe <= self.index.nlist:
            raise ValueError(f"it indexes rows of shape {found}, there are {shape}")


def _refine(queries, rows, candidates, k):
    """Return the `k` best candidates by their cosines, (n, k), and these."""
    # Each row is read once, in the order of the file.
    distinct, place = np.unique(candidates.clip(0), return_inverse=True)
    near = np.asarray(rows[distinct])[place.reshape(candidates.shape)]  # (n, c, d)
    cosines = np.einsum("nd,ncd->nc", queries, near)
    cosines[candidates < 0] = -np.inf
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return (
        np.take_along_axis(candidates, order, axis=1),
        np.take_along_axis(cosines, order, axis=1),
    )
