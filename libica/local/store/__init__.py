"""What the service knows, in SQLite: tasks, versions, runs, tokens."""
