"""What pictures get besides their recipe, where that is wanted: an invisible watermark, and a signature (C2PA)."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from bot.config import Settings
from bot.delivery import image_tools
from bot.delivery.image_tools import Upload
from bot.errors import UserError
from engine.api import metadata
from engine.api.recipe import Recipe
from engine.imaging import watermark

log = logging.getLogger(__name__)
TYPES = {"png": "image/png", "webp": "image/webp", "jpg": "image/jpeg"}
ROOM_BYTES = 24 * 1024  # of a signature with its certificates
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@dataclass(frozen=True, kw_only=True)  # no slots: the signer is made once
class Marks:
    """What is put into pictures.

    Attributes:
        watermark: whether pictures carry the invisible mark.
        certificate, key: PEM files to sign with: the signer's certificate with its chain, and its private key.
    """

    watermark: bool = False
    certificate: Path | None = None
    key: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> Marks:
        certificate, key = settings.c2pa_certificate, settings.c2pa_key
        return cls(
            watermark=settings.watermark,
            certificate=Path(certificate) if certificate else None,
            key=Path(key) if key else None,
        )

    def fit(
        self,
        image: Image.Image,
        name: str,
        limit_bytes: int,
        stored: bytes | None = None,
        *,
        recipe: Recipe | None = None,
        words: bool = True,
    ) -> Upload:
        """As `image_tools.fit`, with the marks: a picture that is `stored` has the watermark already."""
        shown = image if stored is not None else self.marked(image)
        upload = image_tools.fit(shown, name, limit_bytes - self.room_bytes, stored, recipe=recipe, words=words)
        return replace(upload, data=self.signed(upload.data, upload.name.rsplit(".", 1)[1], recipe))

    def marked(self, image: Image.Image) -> Image.Image:
        """The picture, with the watermark where that is on."""
        return watermark.embed(image) if self.watermark else image

    @property
    def room_bytes(self) -> int:
        """What a signature adds to a file at most."""
        return ROOM_BYTES if self.certificate else 0

    def signed(self, data: bytes, suffix: str, recipe: Recipe | None) -> bytes:
        """The file, signed where that is on; its type is told by its `suffix`, such as "png".

        What can't be signed is sent without: a certificate that runs out must not keep people from their pictures.
        """
        if self.certificate is None:
            return data
        try:
            return self._sign(data, suffix, recipe)
        except Exception as error:  # whatever the library raises
            log.error("a picture is sent without a signature: %s", error)
            return data

    def _sign(self, data: bytes, suffix: str, recipe: Recipe | None) -> bytes:
        c2pa, signer, context = self._signing
        out = io.BytesIO()
        builder = c2pa.Builder(json.dumps(_manifest(metadata.source_type(recipe))), context)
        builder.sign(signer, TYPES[suffix], io.BytesIO(data), out)
        return out.getvalue()

    def check(self) -> None:
        """Sign something. Raises: UserError when that can't be done."""
        if self.certificate is None and self.key is None:
            return
        if self.certificate is None or self.key is None:
            raise UserError("Signing needs both EASEL_C2PA_CERTIFICATE and EASEL_C2PA_KEY.")
        if importlib.util.find_spec("c2pa") is None:
            raise UserError("Signing needs the package c2pa-python: python3 install.py c2pa.")
        sample = metadata.encode(Image.new("RGB", (8, 8)), "PNG", None)
        try:
            self._sign(sample, "png", None)
        except Exception as error:  # whatever the library says of a certificate
            raise UserError(
                "Pictures can't be signed with {certificate}: {error}", certificate=self.certificate, error=error
            ) from None

    @cached_property
    def _signing(self) -> tuple[Any, Any, Any]:
        """The library, who signs, and that there shall be no thumbnails."""
        import c2pa  # an extra, and slow to load

        assert self.certificate is not None
        assert self.key is not None
        info = c2pa.C2paSignerInfo(b"es256", self.certificate.read_bytes(), self.key.read_bytes(), None)
        context = c2pa.Context.from_dict({"builder": {"thumbnail": {"enabled": False}}})
        return c2pa, c2pa.Signer.from_info(info), context


NO_MARKS = Marks()


def _manifest(source_type: str) -> dict[str, Any]:
    """That the file was made by Easel, by a model (C2PA 2.1, 18.15)."""
    action = "c2pa.created" if source_type == metadata.TRAINED else "c2pa.edited"
    made = {"action": action, "digitalSourceType": f"{SOURCE}{source_type}"}
    return {
        "claim_generator_info": [{"name": "Easel"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made]}}],
    }
