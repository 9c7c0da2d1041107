"""Graphs of nearest neighbors, their cuts, and the number of clusters."""
