"""From rows to a published model that has answered once: every stage, in one process."""
