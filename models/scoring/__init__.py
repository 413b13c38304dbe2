"""Scores as ExLPose counts them: OKS average precision with CrowdPose's sigmas, by split."""
