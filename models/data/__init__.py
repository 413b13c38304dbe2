"""Shots to learn from and to be judged on, and people cut out of them."""
