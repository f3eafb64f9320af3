"""Sums over all atoms of a structure, however far: in three, two, one and no periodic directions."""
