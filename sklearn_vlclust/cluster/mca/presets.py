"""Hyper-parameters that the paper gives for its data sets: Table 5.

``MCAClustering(**presets.MCA["imagenet-dogs"])`` trains with them. They are the paper's
for its own data and its own schedule of 100 epochs of batches of 128; for other data
the estimator's defaults were measured to be better.
"""

from ...semantics import SemanticSpace


def _preset(
    n_clusters, lr, gamma, k_i, k_s, k_p, tau_ia, tau_pa, eta, lambdas
):  # a row of Table 5, in its order
    gamma_r, gamma_u, gamma_h = gamma
    lambda_a, lambda_pa, lambda_sa = lambdas
    return {
        "n_clusters": n_clusters,
        "semantic_space": SemanticSpace(
            gamma_r=gamma_r, gamma_u=gamma_u, gamma_h=gamma_h
        ),
        "lr": lr,
        "k_i": k_i,
        "k_s": k_s,
        "k_p": k_p,
        "tau_ia": tau_ia,
        "tau_pa": tau_pa,
        "eta": eta,
        "lambda_a": lambda_a,
        "lambda_pa": lambda_pa,
        "lambda_sa": lambda_sa,  # "lambda_ca" in Table 5
        "max_iter": 100,
        "batch_size": 128,
    }


#: Name of the paper's data set -> keyword arguments of `MCAClustering`.
MCA = {
    "stl10": _preset(
        10, 1e-4, (50, 0.05, 6), 20, 5, 20, 1.0, 1.0, 10.0, (10.0, 0.1, 5.0)
    ),
    "cifar10": _preset(
        10, 1e-3, (500, 0.03, 12), 5, 5, 1, 0.2, 0.05, 1.0, (1.0, 1.0, 1.0)
    ),
    "cifar100-20": _preset(
        20, 1e-2, (100, 0.05, 5), 5, 20, 20, 1.0, 1.0, 1.0, (1.0, 1.0, 1.0)
    ),
    "imagenet-dogs": _preset(
        15, 1e-5, (1000, 0.05, 10), 5, 20, 30, 0.05, 0.6, 10.0, (1.0, 1.0, 5.0)
    ),
    "tiny-imagenet": _preset(
        200, 1e-3, (100, 0.03, 5), 10, 5, 20, 1.0, 1.0, 1.0, (1.0, 1.0, 1.0)
    ),
}
