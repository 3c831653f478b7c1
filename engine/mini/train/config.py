"""Every number of the recipe in one place: presets for two CPU cores, for a GPU, and to prove that it runs."""

from dataclasses import dataclass, field

from engine.mini.train.scenes import Diet

PICTURE_PX = 128  # what the networks are trained on
FINE_PX = 256  # what ships: the same latents, drawn finer
CAPTION_TOKENS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Pictures are rendered and encoded once, in shards, because encoding costs as much as a training step."""

    shards: int
    shard_size: int = 4096
    basic_shards: int = 0  # the first shards teach composition: pairs and counts, mostly flat on white
    basic: Diet = field(
        default_factory=lambda: Diet(
            kinds={"single": 0.5, "pair": 0.25, "counting": 0.19, "corner": 0.06},
            styles={"flat": 0.84, "outline": 0.04, "watercolor": 0.04, "pixel": 0.04, "neon": 0.04},
            home_share=0.4,
            plain_share=0.6,
            white=25.0,
        )
    )
    full: Diet = field(
        default_factory=lambda: Diet(
            kinds={"single": 0.65, "pair": 0.17, "trio": 0.02, "counting": 0.11, "corner": 0.05},
            styles={"flat": 0.62, "outline": 0.09, "watercolor": 0.09, "pixel": 0.11, "neon": 0.09},
            home_share=0.4,
            plain_share=0.45,
            white=12.0,
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairConfig:
    """Scenes and some changes of each, rendered and encoded once.

    Attributes:
        families: scenes a shard, each with `changes` pictures of what it becomes.
    """

    shards: int
    families: int = 250
    changes: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """How one network is trained.

    Attributes:
        samples: pictures seen in all, over every worker; of several workers, at least.
        batch: pictures a step, over every worker.
        learning_rate: the highest one, after `warmup_steps`; AdamW.
        decay_share: the last part of training, in which the learning rate falls to zero.
        ema: decay of the exponential moving average of the weights, which is what ships.
    """

    samples: int
    batch: int
    learning_rate: float
    warmup_steps: int = 100
    decay_share: float = 0.5
    ema: float = 0.998
    weight_decay: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All stages, in the order in which they run.

    Attributes:
        whitening: pictures by which the latents are whitened.
        painted: latents that the noise predictor paints for the decoder.
        adapter_share: of the adapters' pictures, how many are drawn.
    """

    data: DataConfig
    vae: StageConfig
    finer: StageConfig
    crisp: StageConfig
    clip: StageConfig
    unet: StageConfig
    checker: StageConfig
    adapter: StageConfig
    pairs: PairConfig
    edit: StageConfig
    unet_channels: tuple[int, ...] = (64, 96, 128)
    whitening: int = 512
    painted: int = 512
    adapter_share: float = 1.0
    seed: int = 0


_TWO_STEPS = StageConfig(samples=4, batch=2, learning_rate=1e-4, warmup_steps=1)

RECIPES: dict[str, Recipe] = {
    "cpu": Recipe(
        data=DataConfig(shards=12, basic_shards=5),
        vae=StageConfig(samples=60_000, batch=16, learning_rate=1.6e-3, ema=0.996),
        finer=StageConfig(samples=24_000, batch=16, learning_rate=1e-3, ema=0.99),
        crisp=StageConfig(samples=36_000, batch=8, learning_rate=4e-4),
        clip=StageConfig(samples=80_000, batch=64, learning_rate=1.0e-3),
        unet=StageConfig(samples=500_000, batch=32, learning_rate=5e-4, decay_share=0.75),
        checker=StageConfig(samples=60_000, batch=32, learning_rate=2e-3, ema=0.99),
        adapter=StageConfig(samples=6_000, batch=16, learning_rate=1e-3, warmup_steps=30, ema=0.98),
        pairs=PairConfig(shards=90),
        edit=StageConfig(samples=1_600_000, batch=32, learning_rate=6e-4, decay_share=0.7),
    ),
    "cuda": Recipe(
        data=DataConfig(shards=120, basic_shards=30),
        vae=StageConfig(samples=2_000_000, batch=128, learning_rate=1.6e-3, ema=0.999),
        finer=StageConfig(samples=400_000, batch=128, learning_rate=1e-3, ema=0.998),
        crisp=StageConfig(samples=400_000, batch=32, learning_rate=4e-4),
        clip=StageConfig(samples=4_000_000, batch=512, learning_rate=1.0e-3),
        unet=StageConfig(samples=20_000_000, batch=1024, learning_rate=1.0e-3, ema=0.999),
        checker=StageConfig(samples=1_000_000, batch=256, learning_rate=2e-3, ema=0.99),
        adapter=StageConfig(samples=60_000, batch=64, learning_rate=1e-3, ema=0.99),
        pairs=PairConfig(shards=100),
        edit=StageConfig(samples=4_000_000, batch=512, learning_rate=7e-4, ema=0.999),
    ),
    "short": Recipe(  # two steps a stage: what it paints is noise
        data=DataConfig(shards=2, basic_shards=1, shard_size=4),
        vae=_TWO_STEPS,
        finer=_TWO_STEPS,
        crisp=_TWO_STEPS,
        clip=_TWO_STEPS,
        unet=_TWO_STEPS,
        checker=_TWO_STEPS,
        adapter=_TWO_STEPS,
        pairs=PairConfig(shards=1, families=2, changes=2),
        edit=_TWO_STEPS,
        unet_channels=(16, 24, 32),
        whitening=8,
        painted=2,
        adapter_share=0.01,
    ),
}
