"""Pictures: JPEG, PNG or WebP."""
