"""What is published: a folder with a manifest, a checksum for each file, and what answers from it."""
