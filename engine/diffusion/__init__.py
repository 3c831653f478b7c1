"""The parts of painting: noise, schedulers, prompts, masks, previews."""
