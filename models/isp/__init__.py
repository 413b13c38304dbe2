"""An ISP before a frozen network: its predictor, its training, searches of its settings, its tables."""
