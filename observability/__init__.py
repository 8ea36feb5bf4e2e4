"""What happened and what it looks like: events, metrics, logs, the operations page. It decides nothing."""
