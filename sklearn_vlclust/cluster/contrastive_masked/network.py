"""The network of PICI: masked auto-encoder, instance MLP and cluster MLP."""

import torch
from torch import nn
from torch.nn import functional as F

from ..networks import mlp, pick
from .recipe import ContrastiveMaskedRecipe


def make_blocks(width, depth, n_heads):
    """Return `depth` Transformer blocks of timm, their weights not drawn yet."""
    try:
        from timm.models.vision_transformer import Block
    except ImportError as error:
        raise ImportError(
            "ContrastiveMaskedClustering is built of timm's Transformer blocks: "
            'pip install "timm>=1.0".'
        ) from error
    return nn.Sequential(*(Block(width, n_heads, qkv_bias=True) for _ in range(depth)))


class MaskedAutoencoder(nn.Module):
    """Transformer over tokens; only the visible ones pass the encoder.

    A token is a patch of an image, or a group of features of an embedding. The two
    MLPs read the output of the class token.

    Parameters
    ----------
    n_tokens, token_dim : int
        Tokens per sample, and width of each.
    n_clusters : int
        Clusters.
    width, depth, n_heads : int
        Encoder `F`.
    decoder_width, decoder_depth, decoder_heads : int
        Decoder `D`.
    instance_dim : int, default=128
        Width of the instance features.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self,
        n_tokens,
        token_dim,
        n_clusters,
        *,
        width,
        depth,
        n_heads,
        decoder_width,
        decoder_depth,
        decoder_heads,
        instance_dim=128,
    ):
        super().__init__()
        self.config = {
            "n_tokens": n_tokens,
            "token_dim": token_dim,
            "n_clusters": n_clusters,
            "width": width,
            "depth": depth,
            "n_heads": n_heads,
            "decoder_width": decoder_width,
            "decoder_depth": decoder_depth,
            "decoder_heads": decoder_heads,
            "instance_dim": instance_dim,
        }
        with torch.device("meta"):  # nothing is drawn: the global seed stays as it is
            self.embed = nn.Linear(token_dim, width)
            self.class_token = nn.Parameter(torch.empty(width))
            self.positions = nn.Parameter(torch.empty(n_tokens, width))
            self.encoder = make_blocks(width, depth, n_heads)
            self.norm = nn.LayerNorm(width)
            self.to_decoder = nn.Linear(width, decoder_width)
            self.mask_token = nn.Parameter(torch.empty(decoder_width))
            self.decoder_positions = nn.Parameter(torch.empty(n_tokens, decoder_width))
            self.decoder = make_blocks(decoder_width, decoder_depth, decoder_heads)
            self.decoder_norm = nn.LayerNorm(decoder_width)
            self.to_token = nn.Linear(decoder_width, token_dim)
            self.instance_mlp = mlp(width, instance_dim)
            self.cluster_mlp = mlp(width, n_clusters)
            self.register_buffer("mean", torch.empty(n_tokens, token_dim))
            self.register_buffer("scale", torch.empty(n_tokens, token_dim))
        self.to_empty(device="cpu")

    @torch.no_grad()
    def start(self, generator, mean=0.0, scale=1.0):
        """Draw all weights from `generator`, as masked auto-encoders do.

        `mean` and `scale`, numbers or tensors of shape (n_tokens, token_dim) or
        (token_dim,), standardize the tokens.
        """
        self.mean.copy_(torch.as_tensor(mean))
        self.scale.copy_(torch.as_tensor(scale))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
        for token in (self.class_token, self.mask_token):
            token.normal_(std=0.02, generator=generator)
        scale = ContrastiveMaskedRecipe.in_use().position_scale
        for positions in (self.positions, self.decoder_positions):
            positions.normal_(std=scale, generator=generator)

    def standardize(self, tokens):
        """Tokens as the network sees them and as it reconstructs them, (n, L, p)."""
        return (tokens - self.mean) / self.scale

    def encode(self, x, visible=None, class_only=False):
        """Encode standardized tokens `x`, (n, L, p): class token first, (n, 1 + v, w).

        `visible`, int of shape (n, v), are the tokens that pass; if None, all of them.
        With `class_only` only the class token is returned, (n, 1, w).
        """
        positions: torch.Tensor = self.positions
        if visible is not None:
            x = pick(x, visible)
            positions = F.embedding(visible, positions)
        tokens = self.embed(x) + positions
        first = self.class_token.expand(len(x), 1, -1)
        tokens = torch.cat([first, tokens], dim=1)
        wanted = slice(0, 1) if class_only else slice(None)
        return self.norm(run_blocks(self.encoder, tokens, wanted))

    def decode(self, encoded, visible, masked):
        """Predict the tokens `masked`, (n, L - v, p), from the encoded visible ones.

        Blocks do not mind the order of tokens, so masked ones just follow the
        visible ones.
        """
        tokens = self.to_decoder(encoded)
        positions = self.decoder_positions
        tokens = torch.cat(
            [
                tokens[:, :1],
                tokens[:, 1:] + F.embedding(visible, positions),
                self.mask_token + F.embedding(masked, positions),
            ],
            dim=1,
        )
        wanted = slice(1 + visible.shape[1], None)
        return self.to_token(
            self.decoder_norm(run_blocks(self.decoder, tokens, wanted))
        )

    def project(self, encoded):
        """Instance features, unit rows of (n, d), and cluster logits, (n, k)."""
        h = encoded[:, 0]
        return F.normalize(self.instance_mlp(h), dim=1), self.cluster_mlp(h)

    def forward(self, tokens):
        """Instance features and cluster logits of raw tokens, nothing masked."""
        return self.project(self.encode(self.standardize(tokens), class_only=True))


def run_blocks(blocks, x, wanted):
    """Apply Transformer blocks and return the tokens of the slice `wanted`.

    Tokens do not interact after attention: the last MLP runs on the wanted ones only.
    """
    *blocks, last = blocks
    for block in blocks:
        x = block(x)
    x = x + last.drop_path1(last.ls1(last.attn(last.norm1(x))))
    x = x[:, wanted]
    return x + last.drop_path2(last.ls2(last.mlp(last.norm2(x))))


def draw_mask(n, n_tokens, mask_ratio, generator):
    """Draw which tokens of each sample are visible, and which are masked, uniformly.

    Their numbers are (n, v) and (n, n_tokens - v). `mask_ratio` is the share of masked
    tokens; at least one stays visible. `generator` is on the CPU, so that any device
    gets the same masks.
    """
    n_visible = max(1, n_tokens - round(mask_ratio * n_tokens))
    order = torch.rand(n, n_tokens, generator=generator).argsort(dim=1)
    return order[:, :n_visible], order[:, n_visible:]
