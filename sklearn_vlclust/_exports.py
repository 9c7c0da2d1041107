"""The public classes and where they are; read without importing any of them."""

# Names of encoders, and their classes in `embedding`.
ENCODERS = {"offline": "OfflineEmbedder"}

# Class -> module. Files name these classes, the package imports one when it is first
# used, and `vlclust --method` offers a class of `cluster` by the name of its folder.
EXPORTS = {
    "CLIPEmbedder": "embedding",
    "OfflineEmbedder": "embedding",
    "TimmEmbedder": "embedding",
    "TorchEmbedder": "embedding",
    "ImageSearch": "neighbors",
    "ClusterCaptioner": "semantics",
    "SemanticSpace": "semantics",
    "Vocabulary": "semantics",
    "VLClustering": "cluster.vl",
    "MCAClustering": "cluster.mca",
    "RateReductionClustering": "cluster.rate_reduction",
    "ContrastiveMaskedClustering": "cluster.contrastive_masked",
    "GenerativeCalibrationClustering": "cluster.generative",
    "CodingLengthKSelector": "model_selection",
}
