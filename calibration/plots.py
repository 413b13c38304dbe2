"""Plots of calibration pages: their colours, and an empty figure."""

from matplotlib.figure import Figure

INK, ACCENT, SECOND, PALE = "#1b1f24", "#0b62c4", "#c2410c", "#9aa4af"
COLOURS = {"R": "#c02b2b", "G1": "#2b8a3e", "G2": "#74b816", "B": "#1c5fc0", "mono": INK}
"""Of the curves of a CFA tile's pixels."""


def new_figure(width: float = 8.0, height: float = 4.2) -> Figure:
    """An empty figure of a size in inches, made without pyplot's globals."""
    return Figure(figsize=(width, height), layout="constrained")
