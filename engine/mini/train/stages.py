"""What each stage reads and writes. Worker functions live here, because spawned processes cannot import a __main__."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.multiprocessing as processes
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

from engine.mini.train.config import RECIPES, Recipe
from engine.mini.train.data import LatentDataset, write_shards
from engine.mini.train.editing import pairs
from engine.mini.train.loop import join_workers
from engine.mini.train.networks import adapters
from engine.mini.train.networks.checker import train_checker
from engine.mini.train.networks.clip import new_clip, train_clip
from engine.mini.train.networks.crisp import painted_latents, train_crisp
from engine.mini.train.networks.editor import EditLoss, with_picture
from engine.mini.train.networks.layout import LayoutHeads
from engine.mini.train.networks.unet import UnetLoss, new_unet, train_unet
from engine.mini.train.networks.vae import new_vae, train_finer, train_vae, whiten
from engine.mini.train.pack import assemble, pack, pack_editor
from engine.mini.train.tokenizer import train_tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of the recipe.

    Attributes:
        out: where checkpoints and finished parts go, one folder a part.
        start: a model folder whose parts are trained further; None trains from nothing.
        workers: processes of one CPU thread each that train the noise predictor together, or threads of other stages.
        minutes: wall-clock length of each stage, instead of the recipe's number of samples.
        preset: which recipe, instead of the device's.
    """

    device: str
    out: Path
    start: Path | None
    workers: int
    minutes: float | None
    preset: str | None = None

    @property
    def recipe(self) -> Recipe:
        """Return the preset that was asked for, or the device's."""
        return RECIPES[self.preset or self.device]

    def part(self, name: str) -> Path:
        """Return a part's folder: trained in this run, or else the one it started from."""
        if any((self.out / name).glob("*.json")) or self.start is None:
            return self.out / name
        return self.start / name

    def tokenizer(self) -> CLIPTokenizer:
        """Read the tokenizer."""
        return CLIPTokenizer.from_pretrained(self.part("tokenizer"))


def tokenizer_stage(job: Job) -> None:
    """Build the vocabulary; it is never changed later, because every embedding depends on it."""
    if not any(job.part("tokenizer").glob("vocab.json")):
        train_tokenizer(job.out / "tokenizer", job.recipe.seed)


def vae_stage(job: Job) -> None:
    """Train the autoencoder; with a start its latents are kept."""
    if job.start is None:
        recipe = job.recipe
        torch.manual_seed(recipe.seed)
        vae = train_vae(new_vae(), recipe.vae, job.out / "vae", job.device, seed=recipe.seed, minutes=job.minutes)
        whiten(vae, recipe.seed, recipe.whitening)
        vae.save_pretrained(job.out / "vae")


def data_stage(job: Job) -> None:
    """Render and encode the training pictures."""
    write_shards(job.out / "data", job.recipe.data, job.part("vae"), job.device, job.workers)


def clip_stage(job: Job) -> None:
    """Train the ranker; with a start, its text tower is the text encoder, which knows more grammar by then."""
    recipe, tokenizer = job.recipe, job.tokenizer()
    torch.manual_seed(recipe.seed)
    clip = new_clip(tokenizer)
    if job.start is not None:
        clip = CLIPModel.from_pretrained(job.start / "ranker", dtype=torch.float32)
        clip.text_model.load_state_dict(text_encoder(job.start / "text_encoder").state_dict())
    train_clip(clip, tokenizer, recipe.clip, job.out / "ranker", job.device, seed=recipe.seed, minutes=job.minutes)


def text_encoder(folder: Path) -> CLIPTextModel:
    """Read a text encoder, or the text tower of a CLIP, for training."""
    return CLIPTextModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def unet_stage(job: Job) -> None:
    """Train the noise predictor and its text encoder, in several processes on a CPU."""
    _in_processes(unet_worker, job)


def _in_processes(work: Callable[[int, Job, Path], None], job: Job) -> None:
    """Train one network in several processes on a CPU, in this one elsewhere."""
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        if job.device == "cuda" or job.workers == 1:
            work(0, job, meeting)
        else:
            processes.spawn(work, (job, meeting), nprocs=job.workers)  # type: ignore[no-untyped-call,attr-defined]


def unet_worker(rank: int, job: Job, meeting: Path) -> None:
    """Be one of the processes that train the noise predictor."""
    join_workers(rank, 1 if job.device == "cuda" else job.workers, meeting)
    torch.manual_seed(job.recipe.seed)
    network = denoiser(job).to(job.device)
    loss = UnetLoss(network, job.tokenizer(), LatentDataset(job.out / "data"), job.device)
    train_unet(network, job.recipe.unet, job.out / "unet", loss, seed=job.recipe.seed, minutes=job.minutes)


def denoiser(job: Job) -> nn.ModuleDict:
    """Build the UNet, its text encoder, at first the ranker's text tower, and the heads that only training needs."""
    unet = new_unet(job.recipe.unet_channels)
    if any(job.part("unet").glob("*.json")):
        unet = unet.from_pretrained(job.part("unet"), dtype=torch.float32)
    unet.to(memory_format=torch.channels_last)
    text = job.part("text_encoder") if any(job.part("text_encoder").glob("*.json")) else job.part("ranker")
    return nn.ModuleDict({"unet": unet, "text_encoder": text_encoder(text), "heads": LayoutHeads(unet)})


def finer_stage(job: Job) -> None:
    """Train the autoencoder that ships, for larger pictures in the same latents."""
    coarse = AutoencoderKL.from_pretrained(job.part("vae"), dtype=torch.float32)
    recipe = job.recipe
    train_finer(coarse, recipe.finer, job.out / "finer", job.device, seed=recipe.seed, minutes=job.minutes)


def crisp_stage(job: Job) -> None:
    """Train the decoder that ships for crisp edges, on what the noise predictor paints as well."""
    recipe, folder = job.recipe, largest_vae(job)
    pipeline = assemble(job.part("unet"), job.part("text_encoder"), folder, job.part("tokenizer"))
    painted = painted_latents(pipeline.to(job.device), recipe.painted, recipe.seed)
    vae = AutoencoderKL.from_pretrained(folder, dtype=torch.float32)
    torch.manual_seed(recipe.seed)
    train_crisp(vae, painted, recipe.crisp, job.out / "crisp", job.device, seed=recipe.seed, minutes=job.minutes)


def largest_vae(job: Job) -> Path:
    """Return the folder of the autoencoder of full-sized pictures, before its edges are made crisp."""
    return job.out / "finer" if (job.out / "finer").exists() else job.part("vae")


def checker_stage(job: Job) -> None:
    """Train the evaluation's own network; with a start it goes on from the one there, when the world has changed."""
    recipe, start = job.recipe, job.start / "checker" if job.start is not None else None
    folder, minutes = job.out / "checker", job.minutes
    train_checker(recipe.checker, folder, job.device, seed=recipe.seed, minutes=minutes, start=start)


def pack_stage(job: Job) -> None:
    """Write `out/model`, the folder that ships."""
    vae = job.out / "crisp" if (job.out / "crisp").exists() else largest_vae(job)
    pipeline = assemble(job.part("unet"), job.part("text_encoder"), vae, job.part("tokenizer"))
    checker = job.out / "checker"
    if job.start is not None and not checker.exists():
        checker = job.start / "checker"
    pack(pipeline, job.part("ranker"), checker, job.out / "model")


def adapters_stage(job: Job) -> None:
    """Train the adapters against the packed model; they always run on the CPU, in minutes."""
    model, seed, config = job.out / "model", job.recipe.seed, job.recipe.adapter
    for name, examples, train in (
        ("blueprint", adapters.blueprint_examples, adapters.train_lora),
        ("cactus", adapters.cactus_examples, adapters.train_lora),
        ("afterglow", adapters.afterglow_examples, adapters.train_word),
        ("edges", adapters.edge_examples, adapters.train_controlnet),
    ):
        mini, folder = adapters.Mini.load(model), job.out / "adapters" / name
        train(mini, examples(seed, job.recipe.adapter_share), config, folder, minutes=job.minutes)


def edit_stage(job: Job) -> None:
    """Train the editor from the packed model, or the one to start from, and write `out/editor`."""
    base = _packed(job)
    write_shards(job.out / "pairs", job.recipe.pairs, base / "vae", job.device, job.workers, pairs.write_shard)
    _in_processes(edit_worker, job)
    pack_editor(job.out / "edit", base, job.out / "editor")


def edit_worker(rank: int, job: Job, meeting: Path) -> None:
    """Be one of the processes that train the editor."""
    join_workers(rank, 1 if job.device == "cuda" else job.workers, meeting)
    torch.manual_seed(job.recipe.seed)
    base = _packed(job)
    unet = with_picture(UNet2DConditionModel.from_pretrained(base / "unet", dtype=torch.float32))
    unet.to(memory_format=torch.channels_last)
    parts = {"unet": unet, "text_encoder": text_encoder(base / "text_encoder"), "heads": LayoutHeads(unet)}
    network = nn.ModuleDict(parts).to(job.device)
    tokenizer = CLIPTokenizer.from_pretrained(base / "tokenizer")
    loss = EditLoss(network, tokenizer, pairs.PairDataset(job.out / "pairs"), job.device)
    train_unet(network, job.recipe.edit, job.out / "edit" / "unet", loss, seed=job.recipe.seed, minutes=job.minutes)


def _packed(job: Job) -> Path:
    """Return the model folder that was packed in this run, or else the one it started from."""
    packed = job.out / "model"
    return job.start if job.start is not None and not packed.exists() else packed


STAGES: dict[str, Callable[[Job], None]] = {
    "tokenizer": tokenizer_stage,
    "vae": vae_stage,
    "data": data_stage,
    "clip": clip_stage,
    "unet": unet_stage,
    "finer": finer_stage,
    "crisp": crisp_stage,
    "checker": checker_stage,
    "pack": pack_stage,
    "adapters": adapters_stage,
    "edit": edit_stage,
}
