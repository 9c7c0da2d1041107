"""The networks that GCC calibrates: ResNet-18 on images, linear maps on embeddings."""

from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional as F

from ..networks import LinearHeads, mlp
from ..row_network import EmbeddingNetwork
from ..views import as_floats

# Images of larger sides are shrunk by the first layers, as in ResNet for ImageNet.
SMALL_SIDE = 64
# Residual blocks per stage, and stages: ResNet-18.
BLOCKS, STAGES = 2, 4


class ResidualNetwork(LinearHeads):
    """ResNet-18 `F` with an instance head and a cluster head `C` of two layers each.

    Small images, of sides up to 64, have the stem of networks for CIFAR: a convolution
    of 3 x 3 that leaves the size as it is, and no pooling. Batches must be whole in
    training, as statistics are taken over them; in evaluation a sample is alone.

    Parameters
    ----------
    image_shape : (int, int, int)
        Channels, height and width of an image.
    n_clusters : int
        Clusters.
    width : int, default=64
        Channels of the first stage; each further one has twice as many. 64 is
        ResNet-18, narrower ones learn in minutes on a CPU.
    instance_dim : int, default=128
        Width of the instance features.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, image_shape, n_clusters, *, width=64, instance_dim=128):
        super().__init__()
        from torchvision.models.resnet import BasicBlock

        channels, *sides = image_shape
        self.config = {
            "image_shape": list(image_shape),
            "n_clusters": n_clusters,
            "width": width,
            "instance_dim": instance_dim,
        }
        with torch.device("meta"):  # nothing is drawn: the global seed stays as it is
            self.stem = _stem(channels, width, small=max(sides) <= SMALL_SIDE)
            widths = [width * 2**i for i in range(STAGES)]
            self.stages = nn.Sequential(
                *(
                    _stage(BasicBlock, n_in, n_out, stride=1 if i == 0 else 2)
                    for i, (n_in, n_out) in enumerate(zip([width, *widths], widths))
                )
            )
            self.instance_mlp = mlp(widths[-1], instance_dim)
            self.cluster_mlp = mlp(widths[-1], n_clusters)
            self.register_buffer("mean", torch.empty(channels))
            self.register_buffer("scale", torch.empty(channels))
        self.to_empty(device="cpu")

    @torch.no_grad()
    def start(self, generator, mean=0.0, scale=1.0):
        """Draw all weights from `generator`, as in torchvision's ResNet.

        `mean` and `scale`, numbers or tensors of shape (channels,), standardize the
        colors.
        """
        self.mean.copy_(torch.as_tensor(mean))
        self.scale.copy_(torch.as_tensor(scale))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight,
                    mode="fan_out",
                    nonlinearity="relu",
                    generator=generator,
                )
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                nn.init.zeros_(module.bias)

    def encode(self, images):
        """High-level features `F`, (n, 8 * width), of uint8 images or floats to 1."""
        x = as_floats(images) if images.dtype == torch.uint8 else images
        x = (x - self.mean[:, None, None]) / self.scale[:, None, None]
        return self.stages(self.stem(x)).mean(dim=(2, 3))

    def project(self, h):
        """Instance features, unit rows of (n, d), and cluster logits, (n, k)."""
        return F.normalize(self.instance_mlp(h), dim=1), self.cluster_mlp(h)

    def forward(self, x):
        """Instance features and cluster logits of samples."""
        return self.project(self.encode(x))

    def features(self, x):
        """Instance features of samples, (n, d), unit rows."""
        return F.normalize(self.instance_mlp(self.encode(x)), dim=1)

    def logits(self, x):
        """Cluster logits of samples, (n, k)."""
        return self.cluster_mlp(self.encode(x))

    def last_cluster_layers(self):
        """Return the last layer of the cluster head."""
        return (self.cluster_mlp[-1],)

    def head_inputs(self, x):
        """Inputs of the last layer of the cluster head, (n, width)."""
        return self.cluster_mlp[:-1](self.encode(x))


class RowNetwork(EmbeddingNetwork):
    """PICI's network on embeddings with nothing masked: `F`, instance head and `C`.

    All maps start linear in the principal axes, as a few thousand samples cannot teach
    more about similarity than embeddings hold; see :class:`EmbeddingNetwork`.
    """

    def __init__(self, n_features, n_axes, n_clusters, instance_dim):
        super().__init__(
            n_features, n_axes, 1, n_clusters, instance_dim, has_decoder=False
        )
        self.config = {
            "n_features": n_features,
            "n_axes": n_axes,
            "n_clusters": n_clusters,
            "instance_dim": instance_dim,
        }

    def encode(self, x, visible=None, class_only=False):
        """High-level features `F(X)` of unit rows, (n, n_axes)."""
        # Rows of CLIP are near their mean: in bfloat16 little of them would be left.
        with torch.autocast(x.device.type, enabled=False):
            tokens = self.standardize(self.tokens(x))
        return super().encode(tokens)

    def forward(self, x):
        """Instance features and cluster logits of unit rows."""
        return self.project(self.encode(x))

    def features(self, x):
        """Instance features of unit rows, (n, d), unit rows again."""
        return self(x)[0]

    def logits(self, x):
        """Cluster logits of unit rows, (n, k)."""
        return self(x)[1]

    def head_inputs(self, u):
        """Inputs of the cluster head's linear layer for unit rows, (n, n_axes)."""
        return F.normalize(self.encode(u), dim=1)


@contextmanager
def own_statistics(network):
    """Normalize generated images by their own statistics, without side effects.

    Generated images are not distributed as real ones are. Normalized in one batch with
    them, or counted in the running statistics, they move the features of real images.
    """
    kept = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [m.momentum for m in kept]
    try:
        for module in kept:
            module.momentum = 0.0
        yield
    finally:
        for module, momentum in zip(kept, momenta):
            module.momentum = momentum


def _stem(channels, width, small):
    """Return the first layers, which shrink large images four times."""
    size, stride, padding = (3, 1, 1) if small else (7, 2, 3)
    convolution = nn.Conv2d(channels, width, size, stride, padding, bias=False)
    layers = [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, *([] if small else [nn.MaxPool2d(3, 2, 1)]))


def _stage(block, n_in, n_out, stride):
    """Return residual blocks; the first may shrink the images."""
    shortcut = None
    if stride > 1:
        convolution = nn.Conv2d(n_in, n_out, 1, stride, bias=False)
        shortcut = nn.Sequential(convolution, nn.BatchNorm2d(n_out))
    first = block(n_in, n_out, stride, shortcut)
    return nn.Sequential(first, *(block(n_out, n_out) for _ in range(BLOCKS - 1)))
