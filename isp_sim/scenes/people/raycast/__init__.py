"""Solids and meshes under light → radiance, instances, classes and depth, in numba."""
