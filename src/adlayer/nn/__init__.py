"""Shared mathematics: what the literature names, once. Plain functions first."""
