"""Models that share another's weights: with LoRAs, ControlNets, IP-Adapters. For the engine's threads."""
