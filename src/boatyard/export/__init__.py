"""A trained network to a bundle that is served without torch."""
