"""What learns: the predictor and the learned ISP, the pose network, enhancers, scoring."""
