"""The ISP, once, in torch: what develops a simulated frame is what a predictor learns to steer."""
