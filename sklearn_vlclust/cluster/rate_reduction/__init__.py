"""Clustering by the principle of rate reduction (CPP)."""
