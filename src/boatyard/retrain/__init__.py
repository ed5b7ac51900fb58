"""The loop closed: what people said was right becomes training rows, and a better model is promoted."""
