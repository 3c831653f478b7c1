"""Models of a zero terminal SNR (v-prediction from pure noise): joined like others, and no further from diffusers."""

from __future__ import annotations

from pathlib import Path

import diffusers
import pytest

from engine import Engine
from engine.runtime.policy import BatchCurve
from tests.engine import conftest as big
from tests.engine.test_parity import ROUNDING, _pictures_keep_their_floats, ask, difference, own, redraw  # noqa: F401

TRAINED = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
REQUESTS = (
    *(ask(scheduler=name, seed=20 + n, num_inference_steps=3 + n % 3) for n, name in enumerate(("euler", "euler_a"))),
    ask(scheduler="euler_a", seed=5, num_inference_steps=6, guidance_scale=8.0),
    ask(scheduler="euler", seed=6, num_inference_steps=2, guidance_scale=1.0),
    ask(scheduler="ddim"),
    ask(scheduler="dpmpp_2m", num_inference_steps=4),
    redraw(scheduler="euler"),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pipe = big.sd1()
    pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config({**big.SCHEDULER_CONFIG, **TRAINED})
    assert pipe.scheduler.init_noise_sigma > 4000
    folder = tmp_path_factory.mktemp("zero") / "snr"
    pipe.save_pretrained(folder)
    return folder


async def test_joined_they_differ_by_rounding_only(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Euler's first step from noise 4096 times as large would make 1e-7 of its output 1e-5 of the picture."""
    monkeypatch.setattr(BatchCurve, "cap", lambda curve, *_: curve.limit)
    async with Engine(str(model), mode="fast") as engine:
        tickets = [engine.submit(request, user=str(n)) for n, request in enumerate(REQUESTS)]
        images = [(await ticket.result())[0] for ticket in tickets]
        assert (await engine.inspect()).forwards["denoise"].most_joined > 1
    for request, image in zip(REQUESTS, images, strict=True):
        assert difference(image, own(model, request)) <= ROUNDING, request


async def test_alone_they_are_diffusers_own(model: Path) -> None:
    async with Engine(str(model)) as engine:
        for request in REQUESTS[:3]:
            image = (await engine.submit(request).result())[0]
            assert difference(image, own(model, request)) == 0.0, request
