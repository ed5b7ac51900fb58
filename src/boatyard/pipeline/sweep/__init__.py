"""Search for better settings, on the validation split alone."""
