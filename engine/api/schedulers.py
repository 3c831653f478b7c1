"""The noise schedulers by every name people use. Knows no torch: `scheduler_factory` builds them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.api.errors import UnknownScheduler

_PLAIN = {"use_karras_sigmas": False, "use_exponential_sigmas": False, "use_beta_sigmas": False}
_KARRAS = {**_PLAIN, "use_karras_sigmas": True}
_SDE = {"algorithm_type": "sde-dpmsolver++"}
_ODE = {"algorithm_type": "dpmsolver++"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """One noise scheduler.

    Attributes:
        name: canonical; what recipes and databases keep.
        label: for people; also A1111's sampler name. `schedule`: A1111's schedule type.
        class_name, config: the diffusers class, and what is set over the model's own scheduler config.
        aliases: other names, compared without case, spaces and punctuation.
        flow: belongs to flow-matching models (SD3, Flux) and only to them.
    """

    name: str
    label: str
    class_name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    schedule: str = "Automatic"
    flow: bool = False

    def calls(self, steps: int) -> int:
        """Denoiser calls of so many steps: Heun looks twice at each but the last, PNDM twice at its second."""
        if self.name == "heun":
            return 2 * steps - 1
        return steps + 1 if self.name == "pndm" and steps > 1 else steps

    @property
    def karras(self) -> bool:
        return bool(self.config.get("use_karras_sigmas"))


def _karras(plain: Scheduler, *aliases: str) -> Scheduler:
    """The same solver on the noise levels of Karras et al. 2022 (eq. 5)."""
    config = {**plain.config, **_KARRAS}
    name, label = f"{plain.name}_karras", f"{plain.label} Karras"
    return Scheduler(
        name=name, label=label, class_name=plain.class_name, config=config, aliases=aliases, schedule="Karras"
    )


_EULER = Scheduler(
    name="euler",
    label="Euler",
    class_name="EulerDiscreteScheduler",
    config=_PLAIN,
    aliases=("euler_discrete", "k_euler"),
)
_DPMPP_2M = Scheduler(
    name="dpmpp_2m",
    label="DPM++ 2M",
    class_name="DPMSolverMultistepScheduler",
    config={**_PLAIN, **_ODE},
    aliases=("dpm++", "dpmpp", "dpm_multistep", "dpmsolver++", "k_dpmpp_2m"),
)
_DPMPP_2M_SDE = Scheduler(
    name="dpmpp_2m_sde",
    label="DPM++ 2M SDE",
    class_name="DPMSolverMultistepScheduler",
    config={**_PLAIN, **_SDE},
)
_DPMPP_SDE = Scheduler(
    name="dpmpp_sde",
    label="DPM++ SDE",
    class_name="DPMSolverSinglestepScheduler",
    config={**_PLAIN, **_ODE, "final_sigmas_type": "sigma_min"},
    aliases=("dpmpp_2s", "dpm_singlestep"),
)

SCHEDULERS: tuple[Scheduler, ...] = (
    _EULER,
    Scheduler(
        name="euler_a",
        label="Euler a",
        class_name="EulerAncestralDiscreteScheduler",
        aliases=("euler_ancestral", "k_euler_a", "k_euler_ancestral", "euler_ancestral_discrete"),
    ),
    _DPMPP_2M,
    _karras(_DPMPP_2M, "dpmpp_2m_k", "dpm++ karras", "k_dpmpp_2m_karras", "dpm_multistep_karras"),
    _DPMPP_2M_SDE,
    _karras(_DPMPP_2M_SDE, "dpmpp_2m_sde_k"),
    _DPMPP_SDE,
    _karras(_DPMPP_SDE, "dpmpp_sde_k", "dpm++ 2s karras"),
    _karras(_EULER, "euler_k"),
    Scheduler(
        name="euler_trailing",
        label="Euler SGM Uniform",
        class_name=_EULER.class_name,
        config={**_PLAIN, "timestep_spacing": "trailing"},
        aliases=("euler_sgm", "sgm uniform"),
        schedule="SGM Uniform",
    ),
    Scheduler(name="ddim", label="DDIM", class_name="DDIMScheduler"),
    Scheduler(name="ddpm", label="DDPM", class_name="DDPMScheduler"),
    Scheduler(
        name="unipc", label="UniPC", class_name="UniPCMultistepScheduler", config=_PLAIN, aliases=("uni_pc_multistep",)
    ),
    Scheduler(
        name="heun",
        label="Heun",
        class_name="HeunDiscreteScheduler",
        config=_PLAIN,
        aliases=("k_heun", "heun_discrete"),
    ),
    Scheduler(name="pndm", label="PNDM", class_name="PNDMScheduler", aliases=("plms",)),
    Scheduler(
        name="lms", label="LMS", class_name="LMSDiscreteScheduler", config=_PLAIN, aliases=("k_lms", "lms_discrete")
    ),
    Scheduler(name="lcm", label="LCM", class_name="LCMScheduler"),
    Scheduler(name="deis", label="DEIS", class_name="DEISMultistepScheduler", config=_PLAIN),
    Scheduler(name="tcd", label="TCD", class_name="TCDScheduler"),
    Scheduler(
        name="flow_euler",
        label="Flow Euler",
        class_name="FlowMatchEulerDiscreteScheduler",
        aliases=("flow_match_euler", "flow_match_euler_discrete"),
        flow=True,
    ),
)
OWN = Scheduler(name="own", label="Own", class_name="", aliases=("own scheduler", "default"))


def _folded(name: str) -> str:
    """Fold `DPM++ 2M Karras`, `dpmpp-2m-karras` and `dpmpp_2m_karras` into one spelling."""
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("++", "pp").replace("scheduler", ""))


_BY_NAME = {_folded(n): s for s in (OWN, *reversed(SCHEDULERS)) for n in (*s.aliases, s.class_name, s.label, s.name)}


def resolve(name: str) -> Scheduler:
    """The scheduler a person means. Raises: UnknownScheduler."""
    found = _BY_NAME.get(_folded(name))
    if found is None:
        raise UnknownScheduler(name=name, known=", ".join(s.name for s in SCHEDULERS if not s.flow))
    return found


def from_config(config: Mapping[str, Any]) -> Scheduler:
    """The scheduler a model's own `scheduler_config.json` describes; `OWN` when it is one we have no name for."""
    kin = [s for s in SCHEDULERS if s.class_name and s.class_name == config.get("_class_name")]
    if not kin or (is_flow(config) and not kin[0].flow):
        return OWN
    karras, algorithm = bool(config.get("use_karras_sigmas")), config.get("algorithm_type", "dpmsolver++")
    exact = [s for s in kin if s.karras == karras and s.config.get("algorithm_type", algorithm) == algorithm]
    return (exact or kin)[0]


def is_flow(config: Mapping[str, Any]) -> bool:
    """Whether a scheduler's config is one of flow matching, where noise and latents are mixed linearly."""
    flows = config.get("use_flow_sigmas") or config.get("prediction_type") == "flow_prediction"
    return bool(flows) or "FlowMatch" in str(config.get("_class_name", ""))


def can_be_swapped(config: Mapping[str, Any]) -> bool:
    """Whether another scheduler can be made of a model's own config, which must tell what noise it was trained on."""
    return "beta_schedule" in config or "FlowMatch" in str(config.get("_class_name", ""))
