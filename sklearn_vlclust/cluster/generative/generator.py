"""The generator of GCC: conditional denoising diffusion of images or of embeddings."""

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

from ..._backend._device import to_device
from ..._backend._packages import install_command
from ..._backend._products import Linear, linear, pick_outputs

# Linear noise schedule of DDPM (the paper leaves it open).
N_STEPS, BETA_START, BETA_END = 1000, 1e-4, 0.02
# Samples generated at once, which bounds the memory. Noise is drawn for this many at a
# time, so another number would give other samples.
GENERATED_AT_ONCE = 256
# Images are halved down to about this side, at most this many times.
SMALLEST_SIDE, MAX_HALVINGS = 4, 3
# Ratio of the widest layers of the U-Net to the first.
MAX_WIDENING = 4
# Residual blocks of the perceptron that denoises embeddings.
PERCEPTRON_BLOCKS = 3
# Entries of standardized embeddings are clipped to this absolute value.
EMBEDDING_RANGE = 5.0


def import_diffusers():
    """Return the package diffusers, or say how to install it."""
    try:
        import diffusers
    except ImportError as error:
        raise ImportError(
            "GenerativeCalibrationClustering generates with diffusers: "
            f"{install_command('generative')}"
        ) from error
    return diffusers


class Diffusion(nn.Module):
    """Denoising diffusion conditioned on clusters, with averaged weights to sample.

    A subclass says what samples are: `make_denoiser`, `standardize` and `restore`. The
    denoiser is called with noisy standardized samples, steps, int64 of shape (n,), and
    labels of the same shape. Nothing in it is random: the dropout of the paper would
    draw from the global generator.

    Parameters
    ----------
    sample_shape : tuple of int
        Shape of a standardized sample.
    n_clusters : int
        Number of clusters. The label embedding has one more row, which is not used
        but is part of saved networks.
    clip : float
        Largest absolute entry of a standardized sample.
    """

    config: dict
    signal: torch.Tensor
    n_averaged: torch.Tensor

    def __init__(self, sample_shape, n_clusters, clip):
        super().__init__()
        import_diffusers()
        self.sample_shape, self.n_clusters = tuple(sample_shape), n_clusters
        self.clip = clip
        with torch.device("meta"):  # nothing is drawn: the global seed stays as it is
            self.denoiser = self.make_denoiser()
        self.denoiser.to_empty(device="cpu")
        self.average = copy.deepcopy(self.denoiser).requires_grad_(False)
        betas = torch.linspace(BETA_START, BETA_END, N_STEPS)
        signal = torch.cumprod(1 - betas, dim=0)
        self.register_buffer("signal", signal, persistent=False)
        self.register_buffer("n_averaged", torch.zeros(()))

    def make_denoiser(self):
        """Return the network that predicts the noise, its weights not drawn yet."""
        raise NotImplementedError

    def standardize(self, samples):
        """Samples scaled for diffusion: entries of about unit size."""
        raise NotImplementedError

    def restore(self, x):
        """Undo `standardize`."""
        raise NotImplementedError

    @torch.no_grad()
    def draw_weights(self, generator):
        """Draw all weights from `generator`.

        Layers that end a residual branch start at zero, as in DDPM.
        """
        for name, module in self.denoiser.named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                if name.endswith(("conv2", "to_out.0", "conv_out", "last")):
                    nn.init.zeros_(module.weight)
                else:
                    nn.init.xavier_uniform_(module.weight, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.GroupNorm):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, generator=generator)
        self.average.load_state_dict(self.denoiser.state_dict())
        self.n_averaged.zero_()

    def add_noise(self, x, noise, t):
        """Standardized samples after the steps `t`, int64 (n,), at once: eq. 3.

        The text below eq. 3 weights the noise with ``1 - alpha``; its square root gives
        the variance of the line above.
        """
        alpha = self.signal[t].view(-1, *[1] * (x.dim() - 1))
        return alpha.sqrt() * x + (1 - alpha).sqrt() * noise

    def loss(self, samples, labels, generator, amp=False):
        """Error of the predicted noise: eq. 6, mean over all entries.

        `samples` are real ones of the clusters `labels`, (n,). `generator` is on the
        CPU and draws steps and noise, the same ones for any device. With `amp` the
        denoiser runs in bfloat16.
        """
        x = self.standardize(samples)
        t = to_device(torch.randint(N_STEPS, (len(x),), generator=generator), x.device)
        noise = to_device(torch.randn(x.shape, generator=generator), x.device)
        noisy = self.add_noise(x, noise, t)
        return F.mse_loss(self._predict(self.denoiser, noisy, t, labels, amp), noise)

    def predict_noise(self, denoiser, x, t, labels):
        """Noise in `x` after the steps `t` by a denoiser: epsilon_G of eq. 6."""
        return denoiser(x, t, labels)

    @torch.no_grad()
    def update_average(self, decay=0.999):
        """Move the averaged weights towards the denoiser's, after each step.

        The first averages are over few steps: ``(1 + n) / (10 + n)`` is the decay of
        the n-th until it reaches `decay`.
        """
        n = self.n_averaged
        share = 1 - torch.clamp((1 + n) / (10 + n), max=decay)
        for average, new in zip(self.average.parameters(), self.denoiser.parameters()):
            average.lerp_(new, share)
        n.add_(1)

    @torch.no_grad()
    def sample(self, labels, generator, n_steps=50, eta=0.0, amp=False):
        """Generate a sample for each label with the averaged weights.

        Parameters
        ----------
        labels : int64 tensor of shape (n,)
            Clusters wanted.
        generator : torch.Generator
            On the CPU; draws the noise, the same one for any device.
        n_steps : int, default=50
            Steps of DDIM, of the 1,000 of the diffusion.
        eta : float, default=0.0
            Share of fresh noise: 0 is DDIM, and 1 with 1,000 steps is DDPM, eqs. 4
            and 5. Eq. 5 as printed divides by ``alpha``; the square root of ``1 -
            beta`` is meant, as in DDPM.
        amp : bool, default=False
            Whether the denoiser runs in bfloat16.
        """
        device = self.n_averaged.device
        parts = [
            self._denoise(y, generator, n_steps, eta, amp)
            for y in to_device(labels, device).split(GENERATED_AT_ONCE)
        ]
        return torch.cat(parts)

    def denoisers(self):
        """Return the network that predicts the noise, and its average."""
        return self.denoiser, self.average

    def permute_clusters(self, order):
        """Renumber the clusters: new cluster i is old cluster ``order[i]``."""
        last = torch.tensor([self.n_clusters])
        for denoiser in self.denoisers():
            pick_outputs(denoiser.class_embedding, torch.cat([order, last]))
        self.n_clusters = self.config["n_clusters"] = len(order)

    @torch.no_grad()
    def copy_cluster(self, new, old):
        """Let cluster `new` be generated as `old` is."""
        for denoiser in self.denoisers():
            weight = denoiser.class_embedding.weight
            weight[new] = weight[old]

    def _predict(self, denoiser, x, t, labels, amp):
        with torch.autocast(x.device.type, torch.bfloat16, enabled=amp):
            return self.predict_noise(denoiser, x, t, labels).to(x.dtype)

    def _denoise(self, labels, generator, n_steps, eta, amp):
        """Take noise to samples step by step."""
        scheduler = self._make_scheduler()
        scheduler.set_timesteps(n_steps)  # on the CPU: nothing waits for the device
        shape = len(labels), *self.sample_shape
        x = to_device(torch.randn(shape, generator=generator), labels.device)
        for step in scheduler.timesteps.tolist():
            t = torch.full_like(labels, step)
            noise = self._predict(self.average, x, t, labels, amp)
            fresh = None
            if eta > 0:
                fresh = to_device(torch.randn(shape, generator=generator), x.device)
            x = scheduler.step(
                noise, step, x, eta=eta, variance_noise=fresh
            ).prev_sample
        return self.restore(x)

    def _make_scheduler(self):
        """Return the DDIM steps of diffusers; the first one is from pure noise."""
        return import_diffusers().DDIMScheduler(
            num_train_timesteps=N_STEPS,
            beta_start=BETA_START,
            beta_end=BETA_END,
            beta_schedule="linear",
            timestep_spacing="trailing",
            clip_sample=True,
            clip_sample_range=self.clip,
        )


class ImageGenerator(Diffusion):
    """Diffusion of uint8 images with a U-Net.

    Images are halved until their side is about 4, at most three times, and padded where
    that needs it; the layers widen with every halving, up to four times.

    Parameters
    ----------
    image_shape : (int, int, int)
        Channels, height and width of an image.
    n_clusters : int
        Clusters.
    width : int, default=None
        Width of the first layers, a multiple of 8. If None, it grows with the side of
        the image: 16 at 8 pixels, 64 at 32.
    """

    def __init__(self, image_shape, n_clusters, *, width=None):
        halvings = round(math.log2(max(1, min(image_shape[1:]) / SMALLEST_SIDE)))
        self._n_halvings = min(MAX_HALVINGS, halvings)
        self._width = width or 8 * 2**self._n_halvings
        super().__init__(image_shape, n_clusters, clip=1.0)
        self.config = {
            "image_shape": list(image_shape),
            "n_clusters": n_clusters,
            "width": self._width,
        }

    def start(self, generator):
        """Draw all weights from `generator`."""
        self.draw_weights(generator)

    def make_denoiser(self):
        """Return a U-Net, with attention where the sides are shortest."""
        n, channels = self._n_halvings, self.sample_shape[0]
        widths = [self._width * min(MAX_WIDENING, 2**i) for i in range(n + 1)]
        return UNet(channels, self.n_clusters + 1, widths)

    def standardize(self, samples):
        """Images between -1 and 1 of uint8 ones."""
        return samples.float() / 127.5 - 1

    def restore(self, x):
        """Return the uint8 images: the inverse of `standardize`."""
        return x.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


class EmbeddingGenerator(Diffusion):
    """Diffusion of unit rows with a perceptron, along their principal axes.

    Parameters
    ----------
    n_features : int
        Width of the embeddings.
    n_axes : int
        Principal axes that are generated; other directions stay at the mean.
    n_clusters : int
        Clusters.
    width : int, default=256
        Width of the residual blocks.
    """

    mean: torch.Tensor
    axes: torch.Tensor
    spread: torch.Tensor

    def __init__(self, n_features, n_axes, n_clusters, *, width=256):
        self._width = width
        super().__init__((n_axes,), n_clusters, clip=EMBEDDING_RANGE)
        self.config = {
            "n_features": n_features,
            "n_axes": n_axes,
            "n_clusters": n_clusters,
            "width": width,
        }
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("axes", torch.zeros(n_axes, n_features))
        self.register_buffer("spread", torch.ones(n_axes))

    def make_denoiser(self):
        """Return a perceptron."""
        (n_axes,), n_labels = self.sample_shape, self.n_clusters + 1
        return Perceptron(n_axes, n_labels, self._width)

    def predict_noise(self, denoiser, x, t, labels):
        """Predict the noise: optimal for Gaussian data, plus the denoiser's correction.

        The denoiser learns much faster so (not in the paper): with 37 clusters, 86 % of
        the samples were nearest to their own after 150 steps, 63 % without.
        """
        expected = (1 - self.signal[t]).sqrt()[:, None] * x
        return expected + denoiser(x, t, labels)

    @torch.no_grad()
    def start(self, generator, mean, axes, spread):
        """Draw all weights, and set what standardizes the embeddings.

        Their mean is (n_features,), `axes` are orthogonal, of any length, (n_axes,
        n_features), and `spread` the standard deviations of the projections on them,
        (n_axes,) or a scalar.
        """
        self.draw_weights(generator)
        self.mean.copy_(mean)
        self.axes.copy_(axes)
        self.spread.copy_(spread)

    def standardize(self, samples):
        """Projections of embeddings on the axes, each of unit variance."""
        return linear(samples - self.mean, self.axes) / self.spread

    def restore(self, x):
        """Return the unit rows that have these projections."""
        squares = self.axes.square().sum(dim=1).clamp_min(1e-12)
        rows = linear(x * (self.spread / squares), self.axes.T, self.mean)
        return F.normalize(rows, dim=1)


class UNet(nn.Module):
    """U-Net of diffusers whose images need not have sides that can be halved.

    `widths` are the channels at each resolution, each half of the one before.
    """

    def __init__(self, channels, n_labels, widths):
        super().__init__()
        n = len(widths) - 1
        self.multiple = 2**n
        self.unet = import_diffusers().UNet2DModel(
            in_channels=channels,
            out_channels=channels,
            down_block_types=["DownBlock2D"] * n + ["AttnDownBlock2D"],
            up_block_types=["AttnUpBlock2D"] + ["UpBlock2D"] * n,
            block_out_channels=widths,
            layers_per_block=1,
            norm_num_groups=8,
            attention_head_dim=None,  # one head, as in DDPM
            num_class_embeds=n_labels,
        )

    @property
    def class_embedding(self):
        """Embeddings of the labels."""
        return self.unet.class_embedding

    def forward(self, x, t, labels):
        """Predict the noise in `x`, (n, c, h, w)."""
        height, width = x.shape[2:]
        missing = (-width % self.multiple, -height % self.multiple)
        if any(missing):
            x = F.pad(x, (0, missing[0], 0, missing[1]), mode="replicate")
        return self.unet(x, t, labels).sample[:, :, :height, :width]


class Perceptron(nn.Module):
    """Residual perceptron: step and label scale and shift each block of `width`."""

    def __init__(self, n_features, n_labels, width):
        super().__init__()
        from diffusers.models.embeddings import TimestepEmbedding, Timesteps

        self.waves = Timesteps(width, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(width, width)
        self.class_embedding = nn.Embedding(n_labels, width)
        self.first = Linear(n_features, width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(PERCEPTRON_BLOCKS))
        self.last = Linear(width, n_features)

    def forward(self, x, t, labels):
        """Predict the noise in `x`, (n, n_features)."""
        condition = self.time_embedding(self.waves(t)) + self.class_embedding(labels)
        condition = F.silu(condition)
        h = self.first(x)
        for block in self.blocks:
            h = block(h, condition)
        return self.last(F.silu(h))


class _Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.condition = Linear(width, 2 * width)
        self.first = Linear(width, 2 * width)
        self.last = Linear(2 * width, width)

    def forward(self, h, condition):
        scale, shift = self.condition(condition).chunk(2, dim=1)
        x = self.norm(h) * (1 + scale) + shift
        return h + self.last(F.silu(self.first(x)))
