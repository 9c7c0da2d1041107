"""Hyper-parameters that the paper gives for its data sets: Tables 7 and 8.

``RateReductionClustering(**presets.CPP["cifar-100"])`` trains with them, on embeddings
of CLIP's ViT-L/14. They are the paper's for tens of thousands of images and more; on
smaller sets the recipe loses the structure of the embeddings, and the estimator's
defaults were measured to be better.
"""


def _preset(n_clusters, d, hidden_dim, gamma, warm_up, epochs, batch_size):
    return {
        "n_clusters": n_clusters,
        "n_components": d,
        "hidden_dim": hidden_dim,
        "eps": 0.1,
        "gamma": gamma,
        "n_columns": None,
        "view_neighbors": 0,
        "warm_up": warm_up,
        "max_iter": epochs,
        "batch_size": batch_size,
        "optimizer": "sgd",
        "lr": 1e-4,
    }


#: Name of the paper's data set -> keyword arguments of `RateReductionClustering`:
#: Tables 8a, 8c and 8d. Numbers of clusters that are not numbers of classes are from
#: Section 4.3.
CPP = {
    "cifar-10": _preset(10, 128, 4096, 0.175, 1, 5, 1024),
    "cifar-20": _preset(20, 128, 4096, 0.13, 1, 15, 1024),
    "cifar-100": _preset(100, 128, 4096, 0.1, 1, 50, 1500),
    "imagenet-1k": _preset(1000, 1024, 2048, 0.12, 2, 20, 1024),
    "ms-coco": _preset(150, 128, 4096, 0.12, 1, 20, 1200),
    "laion-aesthetics": _preset(300, 1024, 2048, 0.09, 2, 20, 1024),
}
