"""The hot functions again, fused, for speed on a CPU.

Each function here has its meaning elsewhere, in readable torch; a test holds the two equal to rounding. Which one runs
is chosen here, by device and by what autograd needs, never in the file that reads like the paper.
"""
