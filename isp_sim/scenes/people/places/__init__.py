"""Where people are: rooms, streets, squares and parks, as solids, materials and light."""
