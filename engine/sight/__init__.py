"""Models that look at pictures: captions, masks by words, ranking, safety. Importing this never loads torch."""

from engine.sight.options import VisionOptions

__all__ = ["VisionOptions"]
