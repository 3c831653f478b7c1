"""The device: which one it is, how it fails, and the calls that share one forward pass on it. Knows no models."""
