"""Pairs of lower and full exposure from raw photographs (GLADNet)."""
