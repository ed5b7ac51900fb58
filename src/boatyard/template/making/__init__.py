"""Make a project: what it leaves out goes, the rest is renamed, and its history begins. No project has this package."""
