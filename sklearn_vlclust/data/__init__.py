"""Rows and pictures: how they are held, read in blocks, and told apart."""
