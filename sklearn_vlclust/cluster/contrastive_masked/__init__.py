"""Clustering by masked images and contrast at two levels (PICI)."""
