"""Enhancers that learn, and their losses."""
