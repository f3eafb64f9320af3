"""Local environments as numbers: a graph in, features per atom out."""
