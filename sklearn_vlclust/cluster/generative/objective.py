"""The stages of GCC, each with its loss, and the network that is trained in them."""

from typing import Any

import numpy as np
import torch
from torch import nn

from ..._backend._device import to_device
from ..partition import kmeans_from
from ..spectral.coding_cut import partition_by_rate
from . import losses
from .generator import GENERATED_AT_ONCE, EmbeddingGenerator, ImageGenerator
from .network import ResidualNetwork, RowNetwork, own_statistics
from .recipe import GenerativeRecipe


def above_chance(share, n_clusters):
    """Return a share of samples as one beyond chance: 0 at one of `n_clusters`."""
    return 1.0 if n_clusters == 1 else (share * n_clusters - 1) / (n_clusters - 1)


class CalibratedNetwork(nn.Module):
    """Both branches: the clustering network and the generator.

    Samples are uint8 images, or unit rows; `clustering` and `generative` are the
    arguments of the networks of the branches.
    """

    clustering: Any
    generator: Any

    def __init__(self, on_images, clustering, generative, n_clusters):
        super().__init__()
        kinds = (
            (ResidualNetwork, ImageGenerator)
            if on_images
            else (RowNetwork, EmbeddingGenerator)
        )
        self.clustering = kinds[0](n_clusters=n_clusters, **clustering)
        self.generator = kinds[1](n_clusters=n_clusters, **generative)
        if on_images:  # convolutions of 16 pixels and more: two thirds of the time
            self.to(memory_format=torch.channels_last)
        self.config = {
            "on_images": on_images,
            "clustering": clustering,
            "generative": generative,
            "n_clusters": n_clusters,
        }

    def features(self, x):
        """Instance features of samples, (n, d), unit rows."""
        return self.clustering.features(x)

    def logits(self, x):
        """Cluster logits of samples, (n, k)."""
        return self.clustering.logits(x)

    def large_parts(self):
        """Return the modules that take most of the time on images."""
        return self.clustering.stages, *self.generator.denoisers()

    def permute_clusters(self, order):
        """Renumber the clusters: new cluster i is old cluster ``order[i]``."""
        self.clustering.permute_clusters(order)
        self.generator.permute_clusters(order)
        self.config["n_clusters"] = len(order)

    def head_inputs(self, x):
        """Inputs of the last layer of the cluster head, (n, width)."""
        return self.clustering.head_inputs(x)

    def split_cluster(self, new, old, weight, bias):
        """Let cluster `new` have the logit of `old` plus ``inputs @ weight + bias``."""
        self.clustering.split_cluster(new, old, weight, bias)
        self.generator.copy_cluster(new, old)


class CalibrationObjective(nn.Module):
    """Stages I and II of GCC, epoch by epoch.

    ===========  ==========================  ===========================================
    stage        epochs                      loss
    ===========  ==========================  ===========================================
    contrast     `contrast_epochs`           eq. 1
    head         `head_epochs`               eq. 2, on frozen features
    generator    `generator_epochs`          eq. 6, on the labels of the cluster head
    calibration  `calibration_epochs` per    eq. 12: `L_d`, `L_cwm` and `L_ml`, against
                 round                       samples generated once per round
    refinement   `refinement_epochs` per     eq. 6, on the new labels
                 round
    ===========  ==========================  ===========================================

    Parameters
    ----------
    source : object
        Has ``len()`` and ``blocks()`` of all samples, and where their batches come
        from.
    views : callable
        Gives the two views of a batch's samples.
    sample : tensor of shape (...,)
        Any sample: shape and dtype of generated samples.
    n_clusters : int
        Clusters.
    n_generated : int
        Samples generated per round.
    sampling_steps : int
        Steps of DDIM.
    tau : float
        Temperature of eq. 1.
    contrast_epochs, head_epochs, generator_epochs, n_rounds : int
        Epochs of stage I, and rounds of stage II.
    calibration_epochs, refinement_epochs : int
        Epochs of a round.
    calibration_lr : float
        Learning rate of the calibration, relative to the other stages.
    kernel_matching, class_wise_matching, metric_learning : bool
        Terms of eq. 12 (Figure 2a).
    kmeans_from_head : bool
        Whether k-means starts at the clusters of the head, instead of at a partition
        by coding rate.
    amp : bool, default=False
        Whether the networks run in bfloat16 where gradients are taken and samples
        generated; losses are in float32 in any case.
    generator : torch.Generator
        Draws all.
    """

    confirmed: torch.Tensor
    generated: torch.Tensor
    generated_labels: torch.Tensor
    pseudo_labels: torch.Tensor

    def __init__(
        self,
        source,
        views,
        sample,
        *,
        n_clusters,
        n_generated,
        sampling_steps,
        tau,
        contrast_epochs,
        head_epochs,
        generator_epochs,
        n_rounds,
        calibration_epochs,
        refinement_epochs,
        calibration_lr,
        kernel_matching,
        class_wise_matching,
        metric_learning,
        kmeans_from_head,
        amp=False,
        generator,
    ):
        super().__init__()
        self.source, self.views = source, views
        self.sampling_steps, self.tau = sampling_steps, tau
        self.stages = [
            *["contrast"] * contrast_epochs,
            *["head"] * head_epochs,
            *["generator"] * generator_epochs,
            *(["calibration"] * calibration_epochs + ["refinement"] * refinement_epochs)
            * n_rounds,
        ]
        self.calibration_lr = calibration_lr
        self.kernel_matching = kernel_matching
        self.class_wise_matching = class_wise_matching
        self.metric_learning = metric_learning
        self.kmeans_from_head, self.amp = kmeans_from_head, amp
        self.generator = generator
        self.stage = ""
        self._hidden: Any = None
        # In the state, so that an interrupted fit continues with the same ones.
        self.register_buffer("confirmed", torch.zeros(()))
        shape = n_generated, *sample.shape
        self.register_buffer("generated", torch.zeros(shape, dtype=sample.dtype))
        self.register_buffer("generated_labels", torch.arange(n_generated) % n_clusters)
        self.register_buffer(
            "pseudo_labels", torch.zeros(len(source), dtype=torch.int64)
        )

    def phase(self, epoch):
        """Return the name of an epoch's stage."""
        return self.stages[epoch]

    def start_epoch(self, network, epoch):
        """Enter the epoch's stage, with the labels or samples that it needs."""
        before, self.stage = self.stages[epoch - 1 : epoch], self.stages[epoch]
        first = before != [self.stage]
        network.eval()
        with torch.no_grad():
            if self.stage == "head":
                if self._hidden is None:  # the head alone learns: they stay
                    self._hidden = self._map(network.clustering.encode)
                if first:
                    self.pseudo_labels.copy_(self._cluster(network.clustering))
            elif self.stage in ("generator", "refinement") and first:
                logits = self._map(network.clustering.logits)
                self.pseudo_labels.copy_(logits.argmax(dim=1))
            elif self.stage == "calibration" and first:
                samples = network.generator.sample(
                    self.generated_labels.cpu(),
                    self.generator,
                    self.sampling_steps,
                    amp=self.amp,
                )
                self.generated.copy_(samples)
                parts = self.generated.split(GENERATED_AT_ONCE)
                found = self._map(network.clustering.logits, parts).argmax(dim=1)
                self.confirmed.copy_((found == self.generated_labels).float().mean())
        self.lr_factor = 1.0
        if self.stage == "calibration":
            above = above_chance(self.confirmed.item(), network.config["n_clusters"])
            above /= GenerativeRecipe.in_use().trusted
            self.lr_factor = self.calibration_lr * min(max(above, 0.0), 1.0)
        if self.stage != "head":
            self._hidden = None

    def forward(self, network, *batch):
        """Return the terms by name; ``"loss"`` is their sum."""
        *samples, index = batch
        if self.stage == "contrast":
            x = torch.cat(self.views(*samples))
            with self._autocast():
                z = network.clustering.features(x)
            z_a, z_b = z.float().chunk(2)
            return {"loss": losses.instance_contrast(z_a, z_b, self.tau)}
        index = to_device(index, self.pseudo_labels.device)
        if self.stage == "head":
            with self._autocast():
                logits = network.clustering.project(self._hidden[index])[1]
            labels = self.pseudo_labels[index]
            return {"loss": losses.pseudo_label_loss(logits.float(), labels)}
        if self.stage == "calibration":
            return self._calibrate(network.clustering, samples[0])
        # Of the step before: skorch has no hook after a step.
        network.generator.update_average()
        loss = network.generator.loss(
            samples[0], self.pseudo_labels[index], self.generator, amp=self.amp
        )
        return {"loss": loss}

    def _calibrate(self, network, real):
        """Eq. 12: the clustering branch against generated samples."""
        n = len(real)
        drawn = torch.randint(len(self.generated), (n,), generator=self.generator)
        drawn = to_device(drawn, self.generated.device)
        labels = self.generated_labels[drawn]
        with self._autocast():
            h = network.encode(real)
            with own_statistics(network):
                h = torch.cat([h, network.encode(self.generated[drawn])])
            logits = network.project(h)[1]
        h, logits = h.float(), logits.float()
        terms: dict[str, torch.Tensor] = {}
        if self.kernel_matching:
            found = logits[:n].detach().argmax(dim=1)
            terms["kernel_matching"] = losses.kernel_matching(
                h[:n], found, h[n:], labels
            )
        if self.class_wise_matching:
            terms["class_wise_matching"] = losses.class_wise_matching(h[n:], labels)
        if self.metric_learning:
            scores = logits[n:].softmax(dim=1)
            terms["metric_learning"] = losses.metric_learning(scores, labels)
        loss = torch.stack(list(terms.values())).sum()
        return {"loss": loss, **terms, "confirmed": self.confirmed}

    def _autocast(self):
        device = self.pseudo_labels.device
        return torch.autocast(device.type, torch.bfloat16, enabled=self.amp)

    def _map(self, function, blocks=None):
        """Map the blocks of samples, by default all real ones."""
        blocks = self.source.blocks() if blocks is None else blocks
        return torch.cat([function(block) for block in blocks])

    def _cluster(self, network):
        """Return pseudo-labels of all samples (Section 3.2.2).

        The paper runs k-means on the features. Contrast spreads the samples of a group,
        and k-means then splits some groups and joins others: on the digits, 97 % of the
        nearest neighbors share the class, but k-means has an accuracy of 70 %.
        """
        seed = int(torch.randint(2**31 - 1, (), generator=self.generator))
        rng, k = np.random.RandomState(seed), network.config["n_clusters"]
        if not self.kmeans_from_head:
            labels = partition_by_rate(self._map(network.encode).cpu().numpy(), k, rng)
            return torch.from_numpy(labels)
        features = self._map(network.features).cpu().numpy()
        q = self._map(network.logits).argmax(dim=1).cpu().numpy()
        labels = kmeans_from(features, q, k, rng)
        return torch.from_numpy(labels.astype(np.int64))
