"""The whole objective of MCA, eqs. 7 and 8, and the batches it is computed on."""

import torch
from torch import nn
from torch.nn import functional as F

from ..._backend._device import to_device
from ..._backend._products import linear
from ..batches import RowBatches
from . import losses


class AlignedBatches(RowBatches):
    """Images, a random neighbor of each, their nearest nouns and one of these.

    Parameters
    ----------
    rows : UnitRows of shape (n, d)
        Images.
    near_images : int array of shape (n, k_I)
        Nearest images of each image.
    near_nouns : int array of shape (n, k_S)
        Nearest nouns of each image; `k_S` may be 0.
    generator : torch.Generator
        Draws the neighbors (`rn` in eqs. 1 and 2).
    device : torch.device
        Where batches are wanted.
    """

    def __init__(self, rows, near_images, near_nouns, generator, device):
        super().__init__(rows, generator, device)
        self.near_images = torch.from_numpy(near_images)
        self.near_nouns = torch.from_numpy(near_nouns)

    def batch(self, index):
        """Return ``(pairs, nouns, noun)`` of the images `index`.

        Their shapes are (2 b, d), images before near images, (b, k_S) and (b,).
        """
        near_image = self._draw(self.near_images[index])
        nouns = self.near_nouns[index].long()
        noun = self._draw(nouns) if nouns.shape[1] else index
        return (
            self._gather(torch.cat([index, near_image])),
            to_device(nouns, self.device),
            to_device(noun, self.device),
        )


class MCAObjective(nn.Module):
    """``L_I + lambda_a (lambda_ia L_ia + lambda_pa L_pa + lambda_sa L_sa)``: eq. 8.

    Parameters
    ----------
    source : AlignedBatches
        All images; the prototypes are computed over them once per epoch.
    nouns : float tensor of shape (m, d)
        Unit rows of the nouns; `m` may be 0.
    near_prototypes : int tensor of shape (m, k_p)
        Nearest nouns of every noun, itself first.
    eta, eta_text : float
        Weights of the negative entropy of `q`, and of `p'` (not in the paper).
    lambda_ia, lambda_pa, lambda_sa : float
        Weights of the alignment terms, `lambda_a` and the semantic weight included.
    tau_ia, tau_pa : float
        Temperatures.
    warm_up : int
        Epochs before the semantic-level term (not in the paper).
    shares : ndarray of shape (c,), default=None
        Share of the images that each cluster is kept at (not in the paper). If None,
        even shares.
    """

    shares: torch.Tensor
    nouns: torch.Tensor
    near_prototypes: torch.Tensor

    def __init__(
        self,
        source,
        nouns,
        near_prototypes,
        *,
        eta,
        eta_text,
        lambda_ia,
        lambda_pa,
        lambda_sa,
        tau_ia,
        tau_pa,
        warm_up,
        shares=None,
    ):
        super().__init__()
        self.source = source
        self.eta, self.eta_text = eta, eta_text
        self.lambda_ia, self.lambda_pa, self.lambda_sa = lambda_ia, lambda_pa, lambda_sa
        self.tau_ia, self.tau_pa = tau_ia, tau_pa
        self.warm_up = warm_up
        # Not part of a checkpoint: both follow from the data.
        self.register_buffer("nouns", nouns, persistent=False)
        self.register_buffer("near_prototypes", near_prototypes, persistent=False)
        self.register_buffer(
            "shares",
            None if shares is None else torch.as_tensor(shares, dtype=torch.float32),
            persistent=False,
        )
        self._semantic = False
        self._prototypes: tuple[torch.Tensor, ...] = ()

    def start_epoch(self, network, epoch):
        """Renew the prototypes: once per epoch, as `h` moves slowly."""
        self._semantic = self.lambda_sa > 0 and epoch >= self.warm_up
        if self.lambda_pa > 0:
            self._prototypes = self.find_prototypes(network)

    @torch.no_grad()
    def find_prototypes(self, network):
        """Return the image prototypes `h^I` and text prototypes `h^S`, both (c, d).

        ``h_l^I`` is the mean image weighted by ``q_l``. ``h_l^S`` is the mean of the
        `k_p` nouns nearest to the noun nearest to ``h_l^I``.
        """
        total, weight = [], []
        for u in self.source.blocks():
            q = network.assign_images(u)
            total.append(linear(q.T, u.T))
            weight.append(q.sum(dim=0))
        h_image = sum(total) / sum(weight).clamp_min(losses.TINY)[:, None]
        nearest = (F.normalize(h_image, dim=1) @ self.nouns.T).argmax(dim=1)
        h_text = self.nouns[self.near_prototypes[nearest]].mean(dim=1)
        return h_image, h_text

    def forward(self, network, pairs, near_nouns, noun):
        """Return the terms by name; ``"loss"`` is their weighted sum."""
        q, q_near = network.assign_images(pairs).chunk(2)
        terms = {
            "image_consistency": losses.image_consistency(q, q_near),
            "balance": losses.negative_entropy(q, self.shares),
        }
        loss = terms["image_consistency"] + self.eta * terms["balance"]
        if self.lambda_ia > 0 or self._semantic:
            p = network.assign_nouns(self.nouns)  # (m, c)
        if self.lambda_ia > 0:
            terms["instance_alignment"] = losses.instance_alignment(
                q, p, noun, self.tau_ia
            )
            loss = loss + self.lambda_ia * terms["instance_alignment"]
        if self.lambda_pa > 0:
            h_image, h_text = self._prototypes
            terms["prototype_alignment"] = losses.prototype_alignment(
                network.assign_images(h_image),
                network.assign_nouns(h_text),
                self.tau_pa,
            )
            loss = loss + self.lambda_pa * terms["prototype_alignment"]
        if self._semantic:
            u = pairs[: len(q)]
            weights = network.attend(u, self.nouns, near_nouns)  # (b, k_S)
            # An embedding: its gradient is faster than an index's.
            p_near = F.embedding(near_nouns, p)  # (b, k_S, c)
            p_prime = losses.semantic_assignment(weights, p_near)
            terms["semantic_alignment"] = losses.semantic_alignment(q, p_prime)
            terms["text_balance"] = losses.negative_entropy(p_prime, self.shares)
            loss = (
                loss
                + self.lambda_sa * terms["semantic_alignment"]
                + self.eta_text * terms["text_balance"]
            )
        return {"loss": loss, **terms}
