"""HTTP: what a request means, and the sockets that requests come in by."""
