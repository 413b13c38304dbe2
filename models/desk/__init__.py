"""The tuning desk: a page on loopback with sliders for an ISP and a rig, and what a frozen network sees behind them."""
