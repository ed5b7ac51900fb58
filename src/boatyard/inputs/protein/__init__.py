"""Proteins: sequences of residues."""
