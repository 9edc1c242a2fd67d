"""``tocsin doctor``: tries what stands between a client and the hub, and says what to change."""
