"""What a browser shows: runs, tasks and versions, over the same store and operations as the API."""
