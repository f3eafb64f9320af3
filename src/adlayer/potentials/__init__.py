"""From a graph to energies: one file per published family, in the order and the letters of its paper."""
