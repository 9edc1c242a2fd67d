"""What is kept of the log: the ring, where a client resumes, and the journals. It knows no stream."""
