"""Enhancers that learn nothing."""
