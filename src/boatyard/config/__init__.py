"""The configuration: its schema, how it is composed, and what every command shares at its edge."""
