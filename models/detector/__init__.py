"""A detector of people learns from pairs: windows of both arms' pictures, CenterNet's losses."""
