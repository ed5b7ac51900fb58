"""Batch scoring of any size, on Ray Data: files of rows in, Parquet with their answers out."""
