"""Measures medsales against the limit or the peer of each figure, in the same run."""
