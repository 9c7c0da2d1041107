"""Matrix products, devices and files: what knows nothing of clusters."""
