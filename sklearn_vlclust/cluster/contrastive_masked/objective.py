"""The whole objective of PICI, stage by stage (Algorithm 1), and its batches."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

from ..._backend._device import to_device
from ..networks import pick
from ..partition import kmeans, kmeans_from
from ..views import as_floats
from . import losses
from .network import draw_mask


class ContrastiveMaskedObjective(nn.Module):
    """Stages of Algorithm 1, each with its loss; a module can be switched off.

    ==========  =================  ====================================
    stage       epochs             loss
    ==========  =================  ====================================
    pre-train   `pretrain_epochs`  L_PISD
    train       `train_epochs`     L_PISD + L_PICD
    boost       `boost_epochs`     L_PICD + L_CLI
    ==========  =================  ====================================

    A stage whose own module is off is left out: `n_epochs` counts the others.

    Parameters
    ----------
    source : Images
        All samples; has ``blocks()``.
    views : Views
        Called with a batch, returns its weak and its strong view.
    to_tokens : callable
        Cuts a view into tokens, (n, L, p).
    pretrain_epochs, train_epochs, boost_epochs : int
        E_1, E_2 and E_3.
    mask_ratio : float
        Share of masked tokens.
    tau_i, tau_c : float
        Temperatures of eqs. 5 and 8.
    reconstruction, instance_contrast, cluster_contrast, interaction : bool
        Modules (Tables 6 and 7).
    kmeans_from_head : bool, default=False
        Whether k-means starts at the clusters of the head, instead of at random.
    amp : bool, default=False
        Whether the network runs in bfloat16; losses are in float32 in any case.
    generator : torch.Generator
        Draws masks and the starts of k-means.
    """

    def __init__(
        self,
        source,
        views,
        to_tokens,
        *,
        pretrain_epochs,
        train_epochs,
        boost_epochs,
        mask_ratio,
        tau_i,
        tau_c,
        reconstruction=True,
        instance_contrast=True,
        cluster_contrast=True,
        interaction=True,
        kmeans_from_head=False,
        amp=False,
        generator,
    ):
        super().__init__()
        self.source, self.views, self.to_tokens = source, views, to_tokens
        contrast = instance_contrast or cluster_contrast
        self.stages = [
            (pretrain_epochs * reconstruction, (reconstruction, False, False)),
            (train_epochs * contrast, (reconstruction, contrast, False)),
            (boost_epochs * interaction, (False, contrast, interaction)),
        ]
        self.n_epochs = sum(epochs for epochs, _ in self.stages)
        self.instance_contrast = instance_contrast
        self.cluster_contrast = cluster_contrast
        self.mask_ratio = mask_ratio
        self.tau_i, self.tau_c = tau_i, tau_c
        self.kmeans_from_head, self.amp = kmeans_from_head, amp
        self.generator = generator
        self._modules_on = self.stages[0][1]
        self._labels = torch.empty(0, dtype=torch.int64)

    def phase(self, epoch):
        """Return the name of an epoch's stage."""
        names = ("pretrain", "train", "boost")
        ends = np.cumsum([n_epochs for n_epochs, _ in self.stages])
        return names[int(np.searchsorted(ends, epoch, side="right"))]

    def start_epoch(self, network, epoch):
        """Enter the epoch's stage; renew the pseudo-labels where it has any."""
        end = 0
        for n_epochs, modules_on in self.stages:
            self._modules_on = modules_on
            end += n_epochs
            if epoch < end:
                break
        if self._modules_on[2]:
            self._labels = self.find_pseudo_labels(network)

    @torch.no_grad()
    def find_pseudo_labels(self, network):
        """Return k-means labels of the instance features, numbered as the clusters.

        Eqs. 12-14 for all samples at once, nothing masked: int64 tensor (n,). The paper
        does it for each view; the weak one is the sample itself.
        """
        outputs = [network(self.to_tokens(x)) for x in self._weak_views()]
        features = torch.cat([z for z, _ in outputs]).cpu().numpy()
        q = torch.cat([logits for _, logits in outputs]).argmax(dim=1).cpu().numpy()
        k = network.config["n_clusters"]
        seed = int(torch.randint(2**31 - 1, (), generator=self.generator))
        rng = np.random.RandomState(seed)
        if self.kmeans_from_head:
            p = kmeans_from(features, q, k, rng)
        else:
            p = kmeans(features, k, rng, n_init=10).labels_
        return torch.from_numpy(match_labels(p, q, k)).to(outputs[0][0].device)

    def forward(self, network, *batch):
        """Return the terms by name; ``"loss"`` is their sum."""
        *samples, index = batch
        reconstruct, contrast, interact = self._modules_on
        tokens = self.to_tokens(torch.cat(self.views(*samples)))
        visible, masked = draw_mask(
            len(tokens), tokens.shape[1], self.mask_ratio, self.generator
        )
        visible = to_device(visible, tokens.device)
        masked = to_device(masked, tokens.device)
        x = network.standardize(tokens)
        terms = {}
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.amp):
            encoded = network.encode(x, visible, class_only=not reconstruct)
            if reconstruct:
                predicted = network.decode(encoded, visible, masked)
            if contrast or interact:
                z, logits = network.project(encoded)
        if reconstruct:
            terms["reconstruction"] = losses.reconstruction_loss(
                predicted.float(), pick(x, masked)
            )
        if contrast or interact:
            z, logits = z.float(), logits.float()
            (z_a, z_b), (logits_a, logits_b) = z.chunk(2), logits.chunk(2)
        if contrast and self.instance_contrast:
            terms["instance_contrast"] = losses.instance_contrast(z_a, z_b, self.tau_i)
        loss = sum(terms.values())
        if contrast and self.cluster_contrast:
            q_a, q_b = logits_a.softmax(dim=1), logits_b.softmax(dim=1)
            terms["cluster_contrast"] = losses.cluster_contrast(q_a, q_b, self.tau_c)
            terms["entropy"] = losses.assignment_entropy(q_a, q_b)
            loss = loss + terms["cluster_contrast"] - terms["entropy"]
        if interact:
            labels = self._labels[to_device(index, tokens.device)]
            terms["interaction"] = losses.cross_level_interaction(
                logits_a, logits_b, labels
            )
            loss = loss + terms["interaction"]
        return {"loss": loss, **terms}

    def _weak_views(self):
        for block in self.source.blocks():
            yield as_floats(block) if block.dtype == torch.uint8 else block


def match_labels(p, q, n_clusters):
    """Renumber labels `p`, (n,), so that as many as possible agree with labels `q`.

    By a maximum matching (Section 3.3) of numbers below `n_clusters`.
    """
    table = np.zeros((n_clusters, n_clusters), dtype=np.int64)
    np.add.at(table, (p, q), 1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    number = np.empty(n_clusters, dtype=np.int64)
    number[rows] = columns
    return number[p]
