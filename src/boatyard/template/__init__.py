"""The template itself: make a project from it, and merge its later changes into the project."""
