"""What the requests of each path mean, written once: a file a family of routes."""
