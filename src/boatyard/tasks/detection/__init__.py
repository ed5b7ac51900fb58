"""What is in a picture, and where: boxes with a label each."""
