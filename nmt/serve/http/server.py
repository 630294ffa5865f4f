"""The HTTP server: its socket, its signals, and its end without a lost request."""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from uvicorn import Config, Server

from nmt.errors import DataError, NmtError
from nmt.operating_system import IS_WINDOWS, RELOAD_SIGNAL, STOP_SIGNALS
from nmt.serve.configuration import RESTARTED, Configuration, ConfigurationSource
from nmt.serve.http.application import LOGGER, build_application
from nmt.serve.http.gateway import Gateway
from nmt.serve.http.protocol import TimedProtocol
from nmt.serve.service import Service

LONGEST_HEAD = 16_384  # bytes of the first line and the headers of a request
BACKLOG = 1024


class SignalServer(Server):
    """uvicorn's server, which leaves signals to `run_server`."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave all signals as they are."""
        yield


def run_server(source: ConfigurationSource, report: Callable[[str], None]) -> None:
    """Serve until a signal to stop; `report` is called with the URL once requests are answered.

    The first SIGTERM or SIGINT ends the server when all requests are answered, the second at once. SIGHUP
    reads the configuration again. Raises DataError if the address is in use.
    """
    configuration = source.read()
    listener = bind(configuration.settings.host, configuration.settings.port)
    _open_log()
    try:
        asyncio.run(_serve(source, configuration, listener, report))
    finally:
        listener.close()


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address; DataError if that is not possible."""
    try:
        [(family, _, _, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise DataError(f"--host {host}: {error.strerror}; give an address of this machine") from None
    try:
        if not IS_WINDOWS:  # where it would share the port with another program
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        advice = "stop the program that uses it, or choose another port with --port"
        raise DataError(f"cannot listen at {host}, port {port}: {error.strerror}; {advice}") from None
    return listener


def _open_log() -> None:
    """Write what happens to stderr, a line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
    for name, level in (("nmt.serve", logging.INFO), ("uvicorn.error", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


async def _serve(
    source: ConfigurationSource,
    configuration: Configuration,
    listener: socket.socket,
    report: Callable[[str], None],
) -> None:
    settings = configuration.settings
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        _handle_signal(loop, number, partial(_stop, stop, number))
    service = Service(
        settings.sources(),
        workers=settings.workers,
        queue=settings.limits.queue,
        seconds=settings.limits.seconds,
        worker_seconds=settings.limits.worker_seconds,
        trust_code=settings.trust_code,
    )
    if not await _unless_stopped(service.start(), stop):
        return
    gateway = Gateway(service, configuration)
    reloads = set[asyncio.Task[None]]()

    def reload() -> None:
        task = loop.create_task(_reload(source, gateway))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    if RELOAD_SIGNAL is not None:
        _handle_signal(loop, RELOAD_SIGNAL, reload)
    server = build_server(gateway)
    serving = loop.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        host, port = listener.getsockname()[:2]
        report(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        await asyncio.wait((serving, loop.create_task(stop.wait())), return_when=asyncio.FIRST_COMPLETED)
        gateway.is_stopping = server.should_exit = True
        await serving
    finally:
        await service.drain()


def build_server(gateway: Gateway) -> Server:
    """Return the server of a gateway."""
    limits = gateway.limits
    TimedProtocol.seconds, TimedProtocol.most = limits.client_seconds, limits.connections
    config = Config(
        build_application(gateway),
        http=TimedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        timeout_graceful_shutdown=int(limits.seconds) + 1,
    )
    return SignalServer(config)


def _handle_signal(loop: asyncio.AbstractEventLoop, number: int, handle: Callable[[], None]) -> None:
    """Call a function when a signal arrives; Windows, whose event loop has no signals, keeps its own."""
    with suppress(NotImplementedError):
        loop.add_signal_handler(number, handle)


def _stop(stop: asyncio.Event, number: int) -> None:
    """Stop when all requests are answered; at once if that was asked for before."""
    if stop.is_set():
        LOGGER.info("stopped at once")
        os._exit(128 + number)
    LOGGER.info("stopping when all requests are answered; a second signal stops at once")
    stop.set()


async def _unless_stopped(work: Any, stop: asyncio.Event) -> bool:
    """Finish some work and return True; cancel it and return False if the server is to stop."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return False
        working.result()
        return True
    finally:
        working.cancel()
        stopping.cancel()


async def _reload(source: ConfigurationSource, gateway: Gateway) -> None:
    """Read the configuration again; with a mistake in it, the old one stays."""
    try:
        configuration = source.read()
        await gateway.service.reload(configuration.settings.sources())
    except (NmtError, OSError) as error:
        LOGGER.error("the configuration stays as it was: %s", error)
        return
    old, new = gateway.configuration.settings, configuration.settings
    changed = [name for name in RESTARTED if getattr(old, name) != getattr(new, name)]
    limits = [f"limits.{name}" for name in ("queue", "connections", "worker_seconds", "client_seconds")]
    changed += [name for name in limits if _nested(old, name) != _nested(new, name)]
    gateway.configuration = configuration
    LOGGER.info("the configuration was read again: %s", ", ".join(gateway.service.models))
    if changed:
        LOGGER.info("%s: changed from the next start on", ", ".join(changed))


def _nested(settings: Any, path: str) -> Any:
    for name in path.split("."):
        settings = getattr(settings, name)
    return settings
