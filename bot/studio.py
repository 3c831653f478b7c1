"""What commands work with, until each feature takes its own services."""

from __future__ import annotations

from dataclasses import dataclass

from bot.config import Settings
from bot.delivery.job_messages import JobMessages
from bot.delivery.layouts import Layouts
from bot.features.audit.audit_channel import AuditChannel
from bot.features.audit.service import Audit
from bot.features.credits.service import Credits, Quotas
from bot.features.gallery.poster import Gallery
from bot.features.gallery.service import Stars
from bot.features.generate.submission import Submission
from bot.features.moderation.service import Moderation
from bot.features.privacy.maintenance import Maintenance
from bot.features.privacy.service import Privacy
from bot.features.region.selection import RegionSelection
from bot.features.settings.service import PreferenceService
from bot.jobs.files import ImageFiles
from bot.jobs.service import Jobs
from bot.store.clock import Clock
from bot.store.key_value_store import KeyValues
from bot.store.store import Store
from engine.backend import Backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """Every service by name."""

    settings: Settings
    backend: Backend
    store: Store
    key_values: KeyValues
    files: ImageFiles
    jobs: Jobs
    credits: Credits
    quotas: Quotas
    audit: Audit
    audit_channel: AuditChannel
    privacy: Privacy
    upkeep: Maintenance
    choosing: RegionSelection
    wishes: PreferenceService
    moderation: Moderation
    stars: Stars
    gallery: Gallery
    layouts: Layouts
    messages: JobMessages
    submission: Submission
    clock: Clock
