"""What watches a running hub, or demonstrates it: metrics, the canary, the simulator."""
