"""Images per second of PICI against the same model written for single use.

The plain model draws its views image by image in a DataLoader, runs the views through
the network one after the other, and restores the order of the patches before decoding,
as the masked auto-encoder was published. Both take turns, so that the ratio holds on a
busy machine as well. Bars: at least 1.5 times the images per second, and an encoder
step with half of the patches masked takes at most 0.6 times as long as without masks.
"""

from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from sklearn_vlclust._backend._device import new_generator
from sklearn_vlclust.cluster.contrastive_masked.network import (
    MaskedAutoencoder,
    draw_mask,
)
from sklearn_vlclust.cluster.contrastive_masked.objective import (
    ContrastiveMaskedObjective,
)
from sklearn_vlclust.cluster.contrastive_masked.patches import patchify
from sklearn_vlclust.cluster.image_batches import Images
from sklearn_vlclust.cluster.views import StrongView, Views
from sklearn_vlclust.training import RandomBatches

from .machine import take_turns

# Side of the image -> channels and side of a patch; the network is the default one.
MODELS = {8: (1, 2), 32: (3, 4)}
NETWORK = {
    "width": 64,
    "depth": 3,
    "n_heads": 4,
    "decoder_width": 32,
    "decoder_depth": 1,
    "decoder_heads": 4,
}
SIZES = {
    "toy": {"n": 64, "sides": [8], "repeats": 1, "n_workers": [0]},
    "quick": {"n": 1024, "sides": [8, 32], "repeats": 2, "n_workers": [0]},
    "full": {"n": 2048, "sides": [8, 32], "repeats": 5, "n_workers": [0, 2]},
}
BATCH_SIZE, N_CLUSTERS, MASK_RATIO, TAU_I, TAU_C = 128, 10, 0.5, 0.5, 1.0


class TwoViews(Dataset):
    """Weak and strong view of one image, by torchvision's transforms."""

    def __init__(self, images):
        from torchvision.transforms import v2

        strong = StrongView.for_images(images.shape[1])
        side = images.shape[2]
        if images.shape[1] == 3:
            jitter = v2.ColorJitter(*[strong.color] * 3, strong.hue)
            area = tuple(edge**2 for edge in strong.window)
            steps = [
                v2.RandomResizedCrop(side, scale=area, antialias=True),
                v2.RandomHorizontalFlip(strong.flip),
                v2.RandomApply([jitter], strong.jitter),
                v2.RandomGrayscale(strong.gray),
                v2.RandomApply([v2.GaussianBlur(5, (0.1, 0.5))], strong.blur),
            ]
        else:
            shear = np.rad2deg(np.arctan(strong.shear))
            affine = v2.RandomAffine(
                strong.rotation, (strong.shift, strong.shift), strong.window, shear
            )
            steps = [affine]
        to_float = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
        self.images = images
        self.weak = v2.Compose(to_float)
        self.strong = v2.Compose([*steps, *to_float])

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.weak(self.images[i]), self.strong(self.images[i])


class PlainModel(nn.Module):
    """The losses of the training stage, one view after the other.

    `network` holds the same modules as the library's.
    """

    def __init__(self, network, patch_size):
        super().__init__()
        self.network, self.patch_size = network, patch_size

    def view(self, images, noise=None):
        """Reconstruction loss, instance features and assignments of one view."""
        network = self.network
        x = network.standardize(patchify(images, self.patch_size))
        n, n_tokens, _ = x.shape
        noise = torch.rand(n, n_tokens) if noise is None else noise
        order = noise.argsort(dim=1)
        restore = order.argsort(dim=1)
        n_visible = n_tokens - round(MASK_RATIO * n_tokens)
        tokens = network.embed(x) + network.positions
        index = order[:, :n_visible, None].expand(-1, -1, tokens.shape[2])
        tokens = torch.gather(tokens, 1, index)
        first = network.class_token.expand(n, 1, -1)
        encoded = network.norm(network.encoder(torch.cat([first, tokens], 1)))
        tokens = network.to_decoder(encoded)
        masks = network.mask_token.expand(n, n_tokens - n_visible, -1)
        patches = torch.cat([tokens[:, 1:], masks], 1)
        index = restore[:, :, None].expand(-1, -1, patches.shape[2])
        patches = torch.gather(patches, 1, index) + network.decoder_positions
        decoded = network.decoder(torch.cat([tokens[:, :1], patches], 1))
        predicted = network.to_token(network.decoder_norm(decoded))[:, 1:]
        mask = (restore >= n_visible).float()
        error = ((predicted - x) ** 2).mean(2)
        error = (error * mask).sum() / mask.sum()
        h = encoded[:, 0]
        z = F.normalize(network.instance_mlp(h), dim=1)
        return error, z, network.cluster_mlp(h).softmax(1)

    def forward(self, weak, strong, noise=(None, None)):
        error_a, z_a, q_a = self.view(weak, noise[0])
        error_b, z_b, q_b = self.view(strong, noise[1])
        instance = contrast(torch.cat([z_a, z_b]), TAU_I)
        columns = F.normalize(torch.cat([q_a.T, q_b.T]), dim=1)
        entropy = sum(-(q.mean(0) * q.mean(0).log()).sum() for q in (q_a, q_b))
        cluster = contrast(columns, TAU_C) - entropy
        return (error_a + error_b) / 2 + instance + cluster


def contrast(rows, tau):
    similarity = rows @ rows.T / tau
    similarity = similarity - torch.diag(torch.full((len(rows),), torch.inf))
    positive = torch.arange(len(rows)).roll(len(rows) // 2)
    return F.cross_entropy(similarity, positive)


def make_network(side, seed=0):
    channels, patch_size = MODELS[side]
    n_tokens, token_dim = (side // patch_size) ** 2, channels * patch_size**2
    network = MaskedAutoencoder(n_tokens, token_dim, N_CLUSTERS, **NETWORK)
    network.start(new_generator(seed), mean=0.5, scale=0.25)
    return network


def make_objective(images, patch_size, generator):
    return ContrastiveMaskedObjective(
        Images(images, torch.device("cpu")),
        Views(StrongView.for_images(images.shape[1]), generator),
        partial(patchify, patch_size=patch_size),
        pretrain_epochs=0,
        train_epochs=1,
        boost_epochs=0,
        mask_ratio=MASK_RATIO,
        tau_i=TAU_I,
        tau_c=TAU_C,
        generator=generator,
    )


def _library_epoch(images, side):
    network, generator = make_network(side), new_generator(0)
    objective = make_objective(images, MODELS[side][1], generator)
    batches = RandomBatches(objective.source, BATCH_SIZE, generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)

    def epoch():
        objective.start_epoch(network, 0)
        for batch in batches:
            optimizer.zero_grad(set_to_none=True)
            objective(network, *batch)["loss"].backward()
            optimizer.step()

    return epoch


def _plain_epoch(images, side, n_workers):
    model = PlainModel(make_network(side), MODELS[side][1])
    optimizer = torch.optim.Adam(model.network.parameters(), lr=1e-4)
    loader = DataLoader(
        TwoViews(images), BATCH_SIZE, shuffle=True, num_workers=n_workers
    )

    def epoch():
        for weak, strong in loader:
            loss = model(weak, strong)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


def _encoder_step(side, mask_ratio):
    network = make_network(side)
    n_tokens, token_dim = network.config["n_tokens"], network.config["token_dim"]
    x = torch.randn(2 * BATCH_SIZE, n_tokens, token_dim)
    visible = None
    if mask_ratio:
        visible, _ = draw_mask(len(x), n_tokens, mask_ratio, new_generator(0))

    def step():
        network.encode(x, visible).square().mean().backward()

    return step


def run(n, sides, repeats, n_workers):
    tables = {}
    for side in sides:
        channels, patch_size = MODELS[side]
        shape = n, channels, side, side
        images = torch.randint(256, shape, generator=new_generator(0))
        images = images.to(torch.uint8)
        epochs = {"the library": _library_epoch(images, side)}
        for workers in n_workers:
            name = f"plain, {workers} DataLoader workers"
            epochs[name] = _plain_epoch(images, side, workers)
        seconds = take_turns(epochs, repeats)
        ours = seconds["the library"]
        tables[
            f"training stage, {n:,} images of {side} px, patches of {patch_size}"
        ] = [
            {
                "what": name,
                "images_a_second": n / each,
                "ours_times_as_many": each / ours,
                "bar": "" if name == "the library" else ">= 1.5",
            }
            for name, each in seconds.items()
        ]
        steps = {
            f"{MASK_RATIO:.0%} masked": _encoder_step(side, MASK_RATIO),
            "unmasked": _encoder_step(side, 0.0),
        }
        seconds = take_turns(steps, 4 * repeats)
        tables[f"encoder step, {2 * BATCH_SIZE} images of {side} px"] = [
            {
                "what": name,
                "seconds": each,
                "ratio": each / seconds["unmasked"],
                "bar": "" if name == "unmasked" else "<= 0.6",
            }
            for name, each in seconds.items()
        ]
    return tables
