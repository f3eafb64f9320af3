"""Where a potential runs: ASE, and the codes that drive it."""
