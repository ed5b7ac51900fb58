"""What the local and the cloud machinery need, checked before the work; nothing is changed."""
