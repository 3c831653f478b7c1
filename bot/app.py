"""Puts one Easel together, starts it in order and stops it in reverse. The only place that knows every part."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from bot.backup.schedule import BackupSchedule
from bot.config import Settings, engine_for
from bot.delivery.job_messages import JobMessages
from bot.delivery.layouts import Layouts
from bot.delivery.marks import Marks
from bot.features.admin import commands as admin
from bot.features.api import installing as api
from bot.features.api.service import ApiCourier
from bot.features.audit import admin_commands as audit_admin
from bot.features.audit.audit_channel import AuditChannel
from bot.features.audit.service import Audit
from bot.features.compare import commands as compare
from bot.features.credits import admin_commands as credits_admin
from bot.features.credits import commands as credits
from bot.features.credits.entitlements import Purchases
from bot.features.credits.purchases import Shop, offers_of
from bot.features.credits.service import Credits, Quotas
from bot.features.describe import commands as describe
from bot.features.describe import rewrite, shorten
from bot.features.edit import buttons as edit_buttons
from bot.features.edit import commands as edit
from bot.features.edit import mentions
from bot.features.gallery import buttons as gallery_buttons
from bot.features.gallery.poster import Gallery
from bot.features.gallery.service import Stars
from bot.features.generate import deleting
from bot.features.generate import installing as generate
from bot.features.generate.submission import Submission
from bot.features.help import commands as help_commands
from bot.features.history import admin_commands as history_admin
from bot.features.history import commands as history
from bot.features.history import gallery_page
from bot.features.history.gallery_page import GalleryPage
from bot.features.history.service import History
from bot.features.jobs import admin_commands as jobs_admin
from bot.features.jobs.service import ModeratedJobs
from bot.features.looks import commands as look_commands
from bot.features.looks.service import Looks
from bot.features.macros import commands as macro_commands
from bot.features.macros.service import Macros
from bot.features.moderation import admin_commands as moderation_admin
from bot.features.moderation.image_filter import ImageFilter
from bot.features.moderation.service import Moderation
from bot.features.operations import metrics_page
from bot.features.operations.alerts import Alerts
from bot.features.operations.metrics import Metrics
from bot.features.operations.metrics_page import MetricsPage
from bot.features.operations.watch import Watch, carrier, tell_of_server
from bot.features.privacy import commands as privacy_commands
from bot.features.privacy.maintenance import Maintenance
from bot.features.privacy.service import Privacy
from bot.features.region import commands as region
from bot.features.region.editor_server import EditorServer, Handler
from bot.features.region.editor_service import DiscordEditorService
from bot.features.region.selection import RegionSelection
from bot.features.reports import admin_commands as reports_admin
from bot.features.reports.service import Reports
from bot.features.servers import checks, user_installs
from bot.features.servers.allow_list import AllowList
from bot.features.servers.direct_messages import DirectMessages
from bot.features.settings import admin_commands as settings_admin
from bot.features.settings import commands as settings_commands
from bot.features.settings import models, style_commands
from bot.features.settings.service import PreferenceService
from bot.features.stats import admin_commands as stats_admin
from bot.features.stats.notices import Notices
from bot.features.stats.service import Statistics
from bot.features.word_lists import commands as word_list_commands
from bot.features.word_lists.service import WordLists
from bot.features.workers import panel_workers
from bot.features.workers.service import Workers
from bot.jobs.dispatcher import Dispatcher
from bot.jobs.files import ImageFiles
from bot.jobs.outbox import Outbox
from bot.jobs.service import Jobs
from bot.jobs.store import JobStore
from bot.kit.admin_panel import AdminArea
from bot.kit.checks import tells_time
from bot.kit.client import Client
from bot.kit.command_sync import CommandSync
from bot.kit.custom_ids import Action
from bot.kit.interactions import DoubleClicks
from bot.kit.modals import Forms
from bot.loops import Loop
from bot.orders.model_list import ModelList
from bot.orders.service import Orders
from bot.store.clock import Clock, SteadyClock
from bot.store.key_value_store import KeyValues
from bot.store.store import Store
from bot.upkeep.interrupted_work import InterruptedWork
from bot.upkeep.reconciler import Reconciler
from bot.upkeep.stray_files import StrayFiles
from engine import ImageGate
from engine.backend import Backend

log = logging.getLogger(__name__)
FLUSH_S = 5.0  # what deliveries that are due get at the end
TOKEN_REFUSED = (
    "Discord refuses the token. Make a new one on the page 'Bot' of your application at "
    "https://discord.com/developers/applications and put it into .env as EASEL_TOKEN. Whatever was asked for is kept."
)
START_AGAIN = "Start Easel again: every job waits in its queue."


class App:
    """One Easel: enter it, connect `client` to Discord, then `start`; leaving it stops everything.

    Nothing runs before `start`, so that whoever connects the client (Discord, the demo, a test) decides when.
    """

    client: Client
    store: Store

    def __init__(
        self,
        settings: Settings,
        backend: Backend | None = None,
        clock: Clock | None = None,
        *,
        shard_count: int | None = None,
        always_sync: bool = False,
        gate: ImageGate | None = None,
    ) -> None:
        self.settings = settings
        self.backend = backend or engine_for(settings, gate)
        self.clock = clock or SteadyClock()
        self._shard_count, self._always_sync = shard_count, always_sync
        self._stack = AsyncExitStack()
        self._started = AsyncExitStack()
        self.failure = ""  # why this process can't go on; "" = it can
        self.on_failure: Callable[[], None] = lambda: None

    async def __aenter__(self) -> Self:
        """Open the database and wire everything. Raises: StoreError, UserError; nothing stays open then."""
        async with AsyncExitStack() as opened:
            self.store = await opened.enter_async_context(Store.open(self.settings.database_path, self.clock))
            self._wire()
            self._stack = opened.pop_all()
        return self

    def _wire(self) -> None:
        settings, clock = self.settings, self.clock
        self.key_values, self.job_store = KeyValues(self.store), JobStore(self.store, clock)
        self.models = ModelList(self.backend.models, clock)
        self.client = Client(
            DoubleClicks(clock), lambda member: member in settings.operators, shard_count=self._shard_count
        )
        self.audit = Audit(self.store, clock)
        self.moderation = Moderation(self.store, self.audit, clock, settings, self.backend, self.job_store.queued)
        self.stars = Stars(self.store, self.moderation)
        self.preferences = PreferenceService(self.store, self.audit, clock, self.models)
        self._work()
        self._face()
        self._hooks()
        self._editor = EditorServer(
            DiscordEditorService(self.client, self),
            host=settings.web_host,
            port=settings.web_port,
            address=settings.web_address,
            pages=self._pages(),
        )
        self._install()

    def _pages(self) -> dict[str, Handler]:
        """What the web server has besides the mask editor."""
        token = self.settings.metrics_token.get_secret_value().strip()
        page = MetricsPage(
            token,
            self.metrics,
            client=self.client,
            store=self.store,
            files=self.files,
            dispatcher=self.dispatcher,
            backend=self.backend,
        )
        gallery: dict[str, Handler] = {
            f"{gallery_page.MINE}/{{token}}": self.gallery_page.mine,
            f"{gallery_page.MINE}/{{token}}/{{file}}": self.gallery_page.my_file,
            f"{gallery_page.PUBLIC}/{{guild}}": self.gallery_page.public,
            f"{gallery_page.PUBLIC}/{{guild}}/{{file}}": self.gallery_page.public_file,
        }
        metrics: dict[str, Handler] = {metrics_page.PATH: page.answer} if token else {}
        return metrics | {**self.workers.pages()} | api.pages(self) | (gallery if self.settings.web_address else {})

    def _messages(self) -> JobMessages:
        preferences = self.preferences
        return JobMessages(
            *(self.client, self.layouts, self.files, self.clock, preferences.quiet, self.stars.count),
            *(preferences.mention_minutes, preferences.wordless, Marks.of(self.settings)),
        )

    def _work(self) -> None:
        """What paints, delivers and keeps house."""
        store, clock, settings = self.store, self.clock, self.settings
        self.files, self.layouts = ImageFiles(settings.images_dir), Layouts(self.models)
        self.messages = self._messages()
        self.metrics = Metrics(clock)
        image_filter = ImageFilter(self.moderation, self.audit)
        self.dispatcher = Dispatcher(
            self.job_store,
            self.backend,
            self.files,
            self.metrics.listening(self.messages),
            settings,
            clock,
            filter_flagged=image_filter.filter_flagged,
        )
        self.workers = Workers(settings, self.backend, self.dispatcher, lambda why: self.alerts.tell("cluster", why))
        self.outbox = Outbox(self.job_store, self.metrics.carrying(ApiCourier(self.messages)), clock)
        self.outbox.on_refused = lambda: self.fail(TOKEN_REFUSED)
        self.jobs = Jobs(self.job_store, self.files, self.dispatcher, settings)
        self.statistics = Statistics(store, clock)
        self.moderated_jobs = ModeratedJobs(self.jobs, self.audit, store, clock)
        self.reports = Reports(store, self.audit)
        self.privacy = Privacy(store, self.jobs, self.files, self.dispatcher, clock)
        self.alerts = Alerts(carrier(self.client, settings), self.key_values, clock)
        self.backups = BackupSchedule(settings, clock, lambda why: self.alerts.tell("backup", why))
        self.stray_files = StrayFiles(store, self.files, clock)
        interrupted = InterruptedWork(store, self.job_store, self.dispatcher, clock)
        self.reconciler = Reconciler(
            {
                "the time": self.store.note_time,
                "what has expired": self.job_store.forget_expired,
                "files to remove": self.jobs.remove_ended_files,
                "erasures": self.privacy.finish_erasures,
                "jobs that nobody paints": interrupted.take_up,
                "what no transaction leaves": interrupted.put_right,
                "deletions": lambda: deleting.finish(self.client, self),
                "reports that were decided": self.reports.tell_outcomes,
                "stray files": self.stray_files.look,
            }
        )
        self.maintenance = Maintenance(store, self.privacy, clock, settings.retention_days)

    def _face(self) -> None:
        """What commands work with."""
        client, store, clock, settings = self.client, self.store, self.clock, self.settings
        offers = offers_of(settings)
        self.quotas = Quotas(store, self.audit, settings, clock, offers.plans)
        self.credits = Credits(store, self.audit, settings, clock)
        self.gallery_page = GalleryPage(self)
        self.history = History(store, self.audit)
        self.looks = Looks(store, self.audit)
        self.macros = Macros(store)
        self.word_lists = WordLists(store, self.audit, clock)
        self.gallery = Gallery(client, self.stars, self.messages)
        self.audit_channel = AuditChannel(client, self.audit, self.moderation.audit_channel)
        self.purchases = Purchases(client, Shop(store, self.quotas, offers, clock))
        self.region_selection = RegionSelection(store, clock)
        self.submission = Submission(
            Orders(self.jobs, self.moderation, self.models, self.quotas.terms, self.credits.balance),
            self.jobs,
            self.files,
            self.preferences,
            self.moderation,
            self.messages,
            Notices(self.moderation),
            self.key_values,
        )
        self.allow_list = AllowList(settings.servers)
        self.direct_messages = DirectMessages(client, settings.direct_messages, client.is_operator, clock)
        client.forms = Forms(self.key_values)
        client.on_button(Action.FORM)(client.forms.reopen)
        client.find_job, client.find_image = self.jobs.get, self.jobs.image
        self.privacy.before += [self.gallery.withdraw]
        self.privacy.after += [self.preferences.forget, lambda _: self.quotas.forget()]

    def _install(self) -> None:
        """Let every feature add its commands and buttons; each takes the services it names."""
        client = self.client
        generate.install(client, self)
        history.install(client, self)
        edit.install(client, self)
        edit_buttons.install(client, self)
        mentions.install(client, self)
        describe.install(client, self)
        shorten.install(client, self)
        rewrite.install(client, self)
        compare.install(client, self)
        region.install(client, self)
        settings_commands.install(client, self)
        privacy_commands.install(client, self)
        style_commands.install(client, self)
        look_commands.install(client, self)
        models.install(client, self)
        macro_commands.install(client, self)
        word_list_commands.install(client, self)
        help_commands.install(client, self)
        gallery_buttons.install(client, self)
        credits.install(client, self)
        self._install_admin(admin.install(client))
        user_installs.declare(client, self.settings.user_installs)

    def _install_admin(self, area: AdminArea) -> None:
        """Let every feature add its subcommands of /admin and its pages of the panel."""
        stats_admin.install(self.client, area, self)
        credits_admin.install(self.client, area, self)
        moderation_admin.install(self.client, area, self)
        jobs_admin.install(self.client, area, self)
        reports_admin.install(self.client, area, self)
        audit_admin.install(area, self)
        history_admin.install(area, self)
        settings_admin.install(self.client, area, self)
        panel_workers.install(area.panel, self)

    def _hooks(self) -> None:
        """What happens before every command, and when Discord tells of something."""
        client = self.client
        client.add_check(tells_time(self.clock))
        checks.install(client, self.allow_list, self.direct_messages, self.moderation)
        client.count_refusals = self.metrics.refusing(self.statistics.count_refusal)
        client.listen("guild_remove", lambda guild: self.maintenance.guild_left(guild.id))
        client.listen("guild_join", lambda guild: self.maintenance.guild_joined(guild.id))
        client.listen("guild_join", lambda guild: tell_of_server(self.alerts, guild))
        client.listen("guild_join", self.allow_list.joined)
        client.listen("guild_available", self.allow_list.joined)
        client.listen("entitlement_create", self.purchases.created)
        client.listen("entitlement_update", self.purchases.created)
        client.listen("entitlement_delete", self.purchases.deleted)
        if self.settings.sync_commands:
            client.command_sync = CommandSync(self.key_values, always=self._always_sync)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        await self._stack.aclose()

    async def start(self) -> None:
        """Start painting and delivering; first what a dead process left behind. Call once the client is ready."""
        started = self._started
        errors = self.metrics.log_handler()
        logging.getLogger().addHandler(errors)
        started.callback(logging.getLogger().removeHandler, errors)
        started.push_async_callback(self.messages.close)
        started.push_async_callback(self.audit_channel.close)
        await self.stray_files.begin()
        await self.workers.start()
        started.push_async_callback(self.workers.loop.stop)
        await self.backend.start()
        started.push_async_callback(self.backend.close)
        await self.outbox.start()
        started.push_async_callback(self.outbox.stop, FLUSH_S)
        await self.gallery.tidy()
        await self.dispatcher.start()
        started.push_async_callback(self.dispatcher.stop, self.settings.shutdown_grace_s)
        await self.preferences.load()
        await self.purchases.catch_up()
        self.backups.start()
        started.push_async_callback(self.backups.stop)
        self.reconciler.loop.start()
        started.push_async_callback(self.reconciler.loop.stop)
        await self.maintenance.start(frozenset(guild.id for guild in self.client.guilds))
        for guild in [*self.client.guilds]:
            await self.allow_list.joined(guild)
        started.push_async_callback(self.maintenance.stop)
        if self.settings.has_web_server:
            started.push_async_callback(self._editor.stop)
            self.region_selection.address = self.gallery_page.address = await self._editor.start()
            started.push_async_callback(self.workers.let_go)
            await self.workers.door_opened(self._editor.port)
        heart = Loop("heartbeat", self._beat)
        heart.start()
        started.push_async_callback(heart.stop)

    async def stop(self) -> None:
        """Take no more jobs, finish or requeue what is running, deliver what is owed. Call while still connected."""
        await self._started.aclose()

    @property
    def engine_lost(self) -> str:
        """Why the engine can paint no more until there is a new process; "" while it can."""
        return str(self.backend.status().facts.get("lost", ""))

    async def _beat(self) -> None:
        loops = [self.dispatcher.loop, self.outbox.loop, self.reconciler.loop, self.maintenance.loop]
        loops += [self.backups.loop, *self.workers.loops]
        watch = Watch(self.settings, self.client, self.store, self.files, self.alerts, self.backend, loops)
        why = await watch.until_lost(lambda: self.engine_lost)
        self.dispatcher.engine_failed = True
        self.fail(f"{why} {START_AGAIN}")
        await asyncio.Event().wait()  # whoever hears of the failure ends this process

    def fail(self, sentence: str) -> None:
        """Give up this process, for the reason that `sentence` tells whoever runs it; nothing that is owed is lost."""
        log.critical(sentence)
        self.failure = self.failure or sentence
        self.on_failure()
