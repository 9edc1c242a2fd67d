"""Several processes behind the same sockets: the supervisor has these open, and keeps a worker in each place.

Each worker is the same command line, started anew, with the sockets as they are: a connection waits in them while any
worker comes or goes, and none is refused or reset. (With `SO_REUSEPORT` each worker would have a queue of its own,
which is lost when it closes.) All workers have one log, which is in Redis.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from tocsin import systemd
from tocsin.app import LEAVE_S, STOP_GRACE_S
from tocsin.http.greeting import address_for_clients, greeting
from tocsin.http.listening import address_of, listening_sockets, port_of, sockets_of
from tocsin.http.places import check_metrics_port
from tocsin.settings import Settings
from tocsin.supervised import LEAVE, READY, Given, environment_for
from tocsin.tornado_internals import SteadyCallback

START_S = 60.0
"""How long a worker may take until it accepts connections."""

SHORT_LIFE_S = 30.0
"""A worker that dies sooner is started again after a pause, which doubles up to `LONGEST_PAUSE_S`."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 10.0

MOST_DEATHS = 5
"""So many short lives in a row in one place are a bug: the supervisor ends, and says so. Failed starts don't count."""

FAILED, BAD_SETTINGS = 1, 2

log = logging.getLogger("tocsin")


class Child:
    """One worker's process.

    Attributes:
        number: its place.
        since: when it was started, in the loop's time.
        alive_at: when it last said something.
        ready: done when it accepts connections; cancelled where it ended before.
        over: its exit code, when it has ended.
    """

    def __init__(
        self, number: int, process: asyncio.subprocess.Process, control: socket.socket
    ) -> None:
        loop = asyncio.get_running_loop()
        self.number = number
        self.process = process
        self.since = self.alive_at = loop.time()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.over = asyncio.ensure_future(self._wait())
        self._control = control
        loop.add_reader(control, self._on_said)

    @property
    def is_ready(self) -> bool:
        """Whether it accepts connections, or did until it was told to leave."""
        return self.ready.done() and not self.ready.cancelled() and not self.over.done()

    def leave(self) -> None:
        """Tell it that another one has its place: it serves what it has accepted, and ends."""
        with suppress(OSError):  # it has just ended by itself
            self._control.send(LEAVE)

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def end_within(self, seconds: float) -> None:
        """Wait for its end; kill it where that takes longer."""
        await asyncio.wait({self.over}, timeout=seconds)
        if not self.over.done():
            log.error("a process took too long to end", extra={"worker": self.number})
            self.signal(signal.SIGKILL)
            await self.over

    def _on_said(self) -> None:
        try:
            said = self._control.recv(4_096)
        except ConnectionResetError:  # it ended, and had not read all
            said = b""
        if not said:
            asyncio.get_running_loop().remove_reader(self._control)
            return
        self.alive_at = asyncio.get_running_loop().time()
        if READY in said and not self.ready.done():
            self.ready.set_result(None)

    async def _wait(self) -> int:
        code = await self.process.wait()
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        self.ready.cancel()  # of no effect where it was
        return code


class Supervisor:
    """Keeps `process_count` workers running.

    Args:
        settings: of all of them.
        inherited: sockets that listen already, instead of `host` and `port`.

    Raises:
        SettingsError, PortTaken: a host or a port can't be had.
    """

    def __init__(self, settings: Settings, inherited: Sequence[socket.socket] = ()) -> None:
        self._settings = settings
        if not inherited:
            check_metrics_port(settings)
        # First, as a hub alone does: who can connect to it can ask how it is.
        self._metrics = [self._metrics_of(number) for number in range(settings.process_count)]
        hosts = [(address_of(each), [each]) for each in inherited] or sockets_of(settings)
        self._hosts = [host for host, _ in hosts]
        is_tls = bool(settings.tls_cert)
        self._addresses = [
            address_for_clients(host, port_of(sockets[0]), is_tls=is_tls) for host, sockets in hosts
        ]
        self._listening = [each for _, sockets in hosts for each in sockets]
        self._children: list[Child] = []
        self._all: set[Child] = set()  # those too that are coming, or leaving
        self._deaths = [0] * settings.process_count  # short lives in a row, by place
        self._failed_starts = [0] * settings.process_count  # in a row; Redis is away
        self._turns = [asyncio.Lock() for _ in self._metrics]  # one at a time changes a place
        self._ticket_key = secrets.token_urlsafe(32)
        self._watchdog_s = systemd.watchdog_s()
        self._failed: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def _metrics_of(self, number: int) -> Sequence[socket.socket]:
        """The sockets of one worker's metrics: each has a port of its own, so that no scrape mixes two of them."""
        if not self._settings.metrics_address:
            return ()
        host, port = self._settings.metrics_address
        return listening_sockets(host, port + number if port else 0, setting="metrics_listen")

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT, or until the workers can't be kept running; returns the exit code."""
        signalled, hung_up = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, signalled.set)
        loop.add_signal_handler(signal.SIGHUP, hung_up.set)
        running = asyncio.ensure_future(self._run_on(hung_up))
        ends: set[asyncio.Future[Any]] = {running, self._failed}
        ends.add(asyncio.ensure_future(signalled.wait()))
        await asyncio.wait(ends, return_when="FIRST_COMPLETED")
        signalled.clear()
        running.cancel()
        again = asyncio.ensure_future(self._end_at_once(signalled))
        await asyncio.wait({running})
        await self._stop()
        again.cancel()
        if not running.cancelled() and (error := running.exception()):
            raise error
        return self._failed.result() if self._failed.done() else 0

    async def _run_on(self, hung_up: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as self._group:
            await self._run(hung_up)

    async def _run(self, hung_up: asyncio.Event) -> None:
        # The first one alone: what stops it would stop the others too, and is said once.
        for numbers in (range(1), range(1, len(self._metrics))):
            coming = [await self._start(number) for number in numbers]
            for child in coming:
                if not await self._becomes_ready(child):
                    self._fail(await child.over)
                    return
            for child in coming:
                self._place(child)
        self._tell_started()
        if self._watchdog_s:
            SteadyCallback(self._look_alive, self._watchdog_s * 1000 / 3).start()
        while True:
            await hung_up.wait()
            hung_up.clear()  # those that come meanwhile are one
            await self._replace_all()

    def _tell_started(self) -> None:
        print(greeting(self._hosts, self._addresses, self._settings.log_format), flush=True)
        shown = " ".join(self._addresses)
        ports = [port_of(sockets[0]) for sockets in self._metrics if sockets]
        extra: dict[str, object] = {"address": shown, "processes": len(self._children)}
        if ports:
            extra["metrics_ports"] = " ".join(map(str, ports))
        log.info("started", extra=extra)
        if not ports:
            log.warning("no metrics: several processes have them with --metrics-listen only")
        if self._settings.insecure and not self._settings.has_authentication:
            log.warning("insecure: everybody who reaches the hub may read and publish")
        systemd.notify("READY=1", f"STATUS=listens at {shown}")

    # --- a worker's life --------------------------------------------------------------------------

    async def _start(self, number: int) -> Child:
        """Start a worker for that place."""
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            given = Given(
                number,
                [each.fileno() for each in self._listening],
                [each.fileno() for each in self._metrics[number]],
                theirs.fileno(),
                self._watchdog_s / 3,
                self._ticket_key,
            )
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *sys.orig_argv[1:],  # as this process was started, whatever program it is
                env=environment_for(given),
                pass_fds=(*given.listening, *given.metrics, given.control),
                process_group=0,  # Ctrl-C is for the supervisor, which passes it on
            )
        child = Child(number, process, ours)
        self._all.add(child)
        child.over.add_done_callback(lambda _: self._all.discard(child))
        return child

    async def _becomes_ready(self, child: Child) -> bool:
        """Wait until it accepts connections; False where it ended instead. One that takes too long is killed."""
        await asyncio.wait({child.ready}, timeout=START_S)
        if not child.ready.done():
            await child.end_within(0)
        return child.is_ready

    def _place(self, child: Child) -> None:
        """Give it its place, and start another one there whenever it ends and was not replaced."""
        if child.number == len(self._children):
            self._children.append(child)
        self._children[child.number] = child
        self._group.create_task(self._keep(child))

    async def _keep(self, child: Child) -> None:
        await asyncio.wait({child.over})  # to await it would end it, where this task is cancelled
        code, number = child.over.result(), child.number
        async with self._turns[number]:
            if self._children[number] is not child:
                return
            self._count_end(child)
            extra = {"worker": number, "pid": child.process.pid, "code": code}
            log.error("a process ended, and is started again", extra=extra)
            # It may lack Redis, which comes back: as long as others serve, that is no end.
            is_bad = code == BAD_SETTINGS
            is_alone = not any(each.is_ready for each in self._children)
            if is_alone if is_bad else self._deaths[number] >= MOST_DEATHS:
                self._fail(code)
                return
            await asyncio.sleep(_pause_s(self._deaths[number] + self._failed_starts[number]))
            new = await self._start(number)
            self._place(new)
            await self._becomes_ready(new)

    def _count_end(self, child: Child) -> None:
        """Count a death or a failed start: as deaths, those of one outage would make the next death the last one."""
        number = child.number
        if child.over.result() == BAD_SETTINGS:
            self._failed_starts[number] += 1
            return
        lived_s = asyncio.get_running_loop().time() - child.since
        self._failed_starts[number] = 0
        self._deaths[number] = 0 if lived_s > SHORT_LIFE_S else self._deaths[number] + 1

    def _fail(self, code: int) -> None:
        """End, with the exit code of a worker; one that was killed has none of its own."""
        log.error("the processes can't be kept running", extra={"code": code})
        if not self._failed.done():
            self._failed.set_result(code if code > 0 else FAILED)

    async def _replace_all(self) -> None:
        """Put a new worker into each place, one after the other; a new one that doesn't start is the last one tried."""
        systemd.notify_reloading()
        log.info("each process is replaced")
        # First: the last one is replaced much later, and a key that was revoked must be good nowhere by then.
        for child in self._children:
            if child.is_ready:
                child.signal(signal.SIGHUP)
        for number in range(len(self._children)):
            if not await self._replace(number):
                log.error("a new process didn't start: the others stay", extra={"worker": number})
                break
        else:
            log.info("each process was replaced")
        systemd.notify("READY=1")

    async def _replace(self, number: int) -> bool:
        async with self._turns[number]:
            new = await self._start(number)
            if not await self._becomes_ready(new):
                return False
            old = self._children[number]
            self._place(new)
        if old.is_ready:
            old.leave()
            await old.end_within(LEAVE_S + self._settings.drain_timeout + STOP_GRACE_S)
        return True

    def _look_alive(self) -> None:
        """Kill workers whose loop stands still, and tell the service manager that this one's turns."""
        now = asyncio.get_running_loop().time()
        for child in self._children:
            if child.is_ready and now - child.alive_at > self._watchdog_s:
                log.error("a process stood still, and is killed", extra={"worker": child.number})
                child.signal(signal.SIGKILL)
        systemd.notify("WATCHDOG=1")

    # --- the end ----------------------------------------------------------------------------------

    async def _stop(self) -> None:
        """End all workers, each as it would end alone; what is left after their time is killed."""
        settings, living = self._settings, tuple(self._all)
        most_s = settings.drain_delay + settings.drain_timeout + STOP_GRACE_S
        systemd.notify_stopping(most_s)
        _send(signal.SIGTERM, living)
        # Until they accept nothing more, what comes is theirs. Then nobody shall wait here in vain.
        close = asyncio.get_running_loop().call_later(settings.drain_delay, self._close_sockets)
        await asyncio.gather(*(child.end_within(most_s) for child in living))
        close.cancel()
        self._close_sockets()
        log.info("stopped", extra={"processes": len(living)})

    def _close_sockets(self) -> None:
        for each in (*self._listening, *(one for sockets in self._metrics for one in sockets)):
            each.close()

    async def _end_at_once(self, signalled: asyncio.Event) -> None:
        """At a second signal end the workers at once."""
        await signalled.wait()
        _send(signal.SIGKILL, self._all)


def _send(number: int, children: Iterable[Child]) -> None:
    for child in children:
        child.signal(number)


def _pause_s(deaths: int) -> float:
    # Of an outage of hours there are thousands, whose power no float holds.
    return min(FIRST_PAUSE_S * 2 ** min(deaths, 10), LONGEST_PAUSE_S) if deaths else 0.0


async def supervise(settings: Settings) -> int:
    """Run as many workers as the settings say, as `Supervisor.run` does; returns the exit code.

    Raises:
        SettingsError, PortTaken: a host or a port can't be had.
    """
    return await Supervisor(settings, systemd.inherited_sockets()).run()
