"""Sizes of networks and hyper-parameters that the paper gives: Table 5, Section 4.1."""

#: Name -> width, depth and heads of the encoder (Table 5).
BACKBONES = {
    "tiny": (192, 4, 12),
    "small": (384, 6, 12),
    "base": (768, 12, 12),
}

#: ``ContrastiveMaskedClustering(n_clusters, **presets.PICI)`` trains as the paper on
#: images of 224 pixels: days of a GPU for a few thousand of them.
PICI = {
    "image_size": 224,
    "patch_size": 16,
    "mask_ratio": 0.5,
    "backbone": "small",
    "decoder": (512, 8, 16),
    "instance_dim": 128,
    "tau_i": 0.5,
    "tau_c": 1.0,
    "pretrain_epochs": 200,
    "train_epochs": 800,
    "boost_epochs": 50,
    "batch_size": 96,
    "lr": 1e-4,
}
