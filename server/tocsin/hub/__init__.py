"""The hub: open streams, and the fan-out that sends them what is new. It knows no HTTP."""
