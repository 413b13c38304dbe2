"""The training loop, its checkpoints and its processes, whatever is learned."""
