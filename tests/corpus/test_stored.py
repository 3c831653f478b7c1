"""What was stored once is read the same for ever: jobs in every form they had, buttons, and pictures' own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.corpus import files, today

SPECS = [
    pytest.param(corpus, case, version, id=f"{corpus.name}: {case['name']} ({version})")
    for corpus in files.CORPORA
    for case in files.read(corpus / "specs.json")
    for version in case["stored"]
]


@pytest.mark.parametrize(("corpus", "case", "version"), SPECS)
def test_a_stored_job_asks_for_what_it_always_did(corpus: Path, case: dict[str, Any], version: str) -> None:
    pictures, stored = files.pictures(corpus / "pictures"), case["stored"][version]
    assert today.request_from_spec(stored, pictures) == case["asks"]
    last = case["asks"]["pictures"] - 1
    assert today.spec_of_one(stored, last, 1000 + last, pictures) == case["last"]
    assert today.inputs_of(stored) == case["asks"]["inputs"]


@pytest.mark.parametrize("corpus", files.CORPORA, ids=lambda corpus: corpus.name)
def test_every_task_is_among_them_with_every_field(corpus: Path) -> None:
    cases = files.read(corpus / "specs.json")
    requests = [request for case in cases for request in case["asks"]["requests"]]
    for task in today.KINDS:
        assert [request for request in requests if request["task"] == task], task
    bare = next(case["stored"]["bare"] for case in cases if case["name"] == "imagine")
    whole = next(case["stored"]["4"] for case in cases if case["name"] == "imagine")
    for name in whole.keys() - bare.keys():
        assert [case for case in cases if case["stored"]["4"][name] != whole[name]], f"{name} is never said"


@pytest.mark.parametrize("corpus", files.CORPORA, ids=lambda corpus: corpus.name)
def test_every_id_that_was_posted_means_the_same(corpus: Path) -> None:
    for custom_id, means in files.read(corpus / "ids.json"):
        assert today.meaning(custom_id) == means, custom_id


LATER = {"composite": False, "memory": "whole", "model_revision": "", "compiled": ""}  # what recipes have got since


@pytest.mark.parametrize("corpus", files.CORPORA, ids=lambda corpus: corpus.name)
def test_every_picture_tells_how_it_was_made(corpus: Path) -> None:
    told = 0
    for file in sorted((corpus / "data" / "images").rglob("*.png")):
        with Image.open(file) as image:
            text = image.info.get("easel")
        assert today.recipe_in(file.read_bytes()) == ({**LATER, **json.loads(text)} if text else None), file.name
        told += bool(text)
    assert told > 50
