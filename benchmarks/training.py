"""An epoch of MCA against a bare torch loop and against skorch as it comes.

All compute the same losses on the same shapes and take turns, so that the ratios hold
on a busy machine as well. Bars: at most 1.2 times the time of the bare loop that does
the same arithmetic, and at most half of skorch's.
"""

import time

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from sklearn_vlclust import MCAClustering, SemanticSpace, Vocabulary

from .rows import clustered

_SHAPE = {"n": 50_000, "width": 512, "n_clusters": 10, "n_nouns": 450}
SIZES = {
    "toy": {"n": 600, "width": 32, "n_clusters": 4, "n_nouns": 20, "repeats": 1},
    "quick": {**_SHAPE, "repeats": 3},
    "full": {**_SHAPE, "repeats": 7},
}
BATCH_SIZE = 128
K_I, K_S, K_P = 10, 5, 5
ETA, ETA_TEXT, TAU, WEIGHT, ATTENTION_SCALE = 1.5, 1.0, 0.2, 0.5, 50.0


class PlainMCA(nn.Module):
    """The losses of MCA in one place, written as one would for a single use.

    With `shortcuts` the attention is computed as the library does it, so that a ratio
    shows what the library's structure costs and nothing else; without, eq. 4 is
    written down as printed. Parameters have the names of the library's.
    """

    def __init__(self, nouns, near_prototypes, n_clusters, shortcuts):
        super().__init__()
        width = nouns.shape[1]
        self.image_head = nn.Linear(width, n_clusters)
        self.text_head = nn.Linear(width, n_clusters)
        self.image_query = nn.Parameter(torch.eye(width))
        self.text_key = nn.Parameter(torch.eye(width))
        for name in ("image", "text"):
            self.register_buffer(f"{name}_mean", torch.zeros(width))
            self.register_buffer(f"{name}_spread", torch.ones(()))
        self.nouns, self.near_prototypes = nouns, near_prototypes
        self.shortcuts = shortcuts

    def q(self, u):
        x = (u - self.image_mean) / self.image_spread
        return (10 * self.image_head(x)).softmax(1)

    def p(self, v):
        x = (v - self.text_mean) / self.text_spread
        return (10 * self.text_head(x)).softmax(1)

    @torch.no_grad()
    def renew_prototypes(self, images):
        q = self.q(images)
        self.h_image = q.T @ images / q.sum(0)[:, None]
        nearest = (F.normalize(self.h_image, dim=1) @ self.nouns.T).argmax(1)
        self.h_text = self.nouns[self.near_prototypes[nearest]].mean(1)

    def forward(self, u, u_near, near_nouns, noun):
        q, p = self.q(u), self.p(self.nouns)
        loss = -(q * self.q(u_near)).sum(1).clamp_min(1e-12).log().mean()
        loss = loss + ETA * negative_entropy(q)
        s = q @ p.T / TAU
        loss = loss + WEIGHT * contrast(s, noun)
        s = (self.q(self.h_image) * self.p(self.h_text)).sum(1) / TAU
        loss = loss + WEIGHT * contrast(s.expand(len(s), -1), torch.arange(len(s)))
        query = ATTENTION_SCALE * (u @ self.image_query.T)
        if self.shortcuts:
            query, keys = query @ self.text_key, self.nouns[near_nouns]
            p_near = F.embedding(near_nouns, p)
        else:
            keys = (self.nouns @ self.text_key.T)[near_nouns]
            p_near = p[near_nouns]
        weights = torch.einsum("bd,bkd->bk", query, keys).softmax(1)
        p_prime = torch.einsum("bk,bkc->bc", weights, p_near)
        label = F.one_hot(p_prime.argmax(1), q.shape[1]) + p_prime - p_prime.detach()
        loss = loss - WEIGHT * (label * q.clamp_min(1e-12).log()).sum(1).mean()
        return loss + WEIGHT * ETA_TEXT * negative_entropy(p_prime)


def negative_entropy(q):
    mean = q.mean(0).clamp_min(1e-12)
    return (mean * mean.log()).sum()


def contrast(s, positive):
    positive = positive[:, None]
    others = s.scatter(1, positive, -torch.inf).logsumexp(1)
    return (others - s.gather(1, positive)[:, 0]).mean()


class BareLoop:
    """Slices tensors, steps, and nothing else."""

    def __init__(self, module, images, near_images, near_nouns):
        self.module, self.images = module, images
        self.near_images, self.near_nouns = near_images, near_nouns
        self.optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)

    def epoch(self):
        self.module.renew_prototypes(self.images)
        for index in torch.randperm(len(self.images)).split(BATCH_SIZE):
            near_nouns = self.near_nouns[index]
            draw = torch.randint(K_I, (len(index), 1))
            near_image = self.near_images[index].gather(1, draw)[:, 0]
            draw = torch.randint(K_S, (len(index), 1))
            noun = near_nouns.gather(1, draw)[:, 0]
            loss = self.module(
                self.images[index], self.images[near_image], near_nouns, noun
            )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


class Pairs(Dataset):
    """The same batches one row at a time, as a torch Dataset gives them."""

    def __init__(self, images, near_images, near_nouns):
        self.images = images
        self.near_images, self.near_nouns = near_images, near_nouns

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        near_image = self.near_images[i, torch.randint(K_I, ())]
        noun = self.near_nouns[i, torch.randint(K_S, ())]
        x = self.images[i], self.images[near_image], self.near_nouns[i], noun
        return x, torch.tensor(0)  # skorch wants a target


class PlainNet(NeuralNet):
    """skorch with its DataLoader and its default callbacks."""

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        return y_pred

    def infer(self, x, **params):
        return self.module_(*x)


class RenewPrototypes(Callback):
    def __init__(self, images):
        self.images = images

    def on_epoch_begin(self, net, **kwargs):
        net.module_.renew_prototypes(self.images)


class TakeTurns:
    """Callback of the fit: after each epoch, the others run one too."""

    def __init__(self, others):
        self.others = others
        self.seconds = {name: [] for name in ["MCAClustering", *others]}
        self.started = None

    def on_epoch_end(self, estimator, epoch, losses):
        if self.started is not None:  # the first epoch warms everything up
            self.seconds["MCAClustering"].append(time.perf_counter() - self.started)
        for name, run_epoch in self.others.items():
            start = time.perf_counter()
            run_epoch()
            if self.started is not None:
                self.seconds[name].append(time.perf_counter() - start)
        self.started = time.perf_counter()


def run(n, width, n_clusters, n_nouns, repeats):
    X, _ = clustered(n, width, n_clusters, noise=3.0)
    # Nouns that are images: each is nearest to one, so that the filters keep them all.
    vocabulary = Vocabulary([f"noun {i}" for i in range(n_nouns)], X[:n_nouns])
    space = SemanticSpace(vocabulary, gamma_r=n_nouns, gamma_u=0, gamma_h=0)
    rng = np.random.default_rng(0)
    images = torch.from_numpy(X)
    near_images = torch.from_numpy(rng.integers(n, size=(n, K_I)))
    near_nouns = torch.from_numpy(rng.integers(n_nouns, size=(n, K_S)))
    near_prototypes = torch.from_numpy(rng.integers(n_nouns, size=(n_nouns, K_P)))
    text = torch.from_numpy(vocabulary.embeddings)

    def plain(shortcuts):
        return PlainMCA(text, near_prototypes, n_clusters, shortcuts)

    def bare_loop(shortcuts):
        return BareLoop(plain(shortcuts), images, near_images, near_nouns).epoch

    def plain_skorch(shortcuts):
        net = PlainNet(
            plain(shortcuts),
            criterion=nn.Module,
            optimizer=torch.optim.Adam,
            lr=1e-3,
            max_epochs=1,
            batch_size=BATCH_SIZE,
            iterator_train__shuffle=True,
            train_split=None,
            callbacks=[RenewPrototypes(images)],
            callbacks__print_log=None,
        ).initialize()
        pairs = Pairs(images, near_images, near_nouns)
        return lambda: net.partial_fit(pairs, None)

    turns = TakeTurns(
        {
            "bare torch loop": bare_loop(True),
            "bare torch loop, eq. 4 as printed": bare_loop(False),
            "skorch as it comes": plain_skorch(True),
            "skorch as it comes, eq. 4 as printed": plain_skorch(False),
        }
    )
    estimator = MCAClustering(
        n_clusters,
        semantic_space=space,
        semantic_weight=1.0,
        attention_scale=ATTENTION_SCALE,
        k_i=K_I,
        k_s=K_S,
        k_p=K_P,
        warm_up=0,
        n_init=0,
        max_iter=1 + repeats,
        batch_size=BATCH_SIZE,
        device="cpu",
        callbacks=[turns],
        random_state=0,
    ).fit(X)
    kept = len(estimator.semantic_space_.nouns_)
    median = {name: float(np.median(times)) for name, times in turns.seconds.items()}
    ours = median["MCAClustering"]
    bars = {
        "bare torch loop": "<= 1.2",
        "skorch as it comes": "<= 0.5",
        "skorch as it comes, eq. 4 as printed": "<= 0.5",
    }
    return {
        f"seconds per epoch, {n:,} x {width}, {n_clusters} clusters, {kept} nouns, "
        f"batches of {BATCH_SIZE}": [
            {
                "what": name,
                "epoch_s": seconds,
                "ours_divided_by_it": ours / seconds,
                "bar": bars.get(name, ""),
                "each_s": turns.seconds[name],
            }
            for name, seconds in median.items()
        ]
    }
