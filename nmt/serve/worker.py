"""A worker process: it receives requests, searches in one thread, and sends the results.

On Linux the models are loaded by one process, the template, which is forked for each worker, so that they
share the weights. Elsewhere every worker loads them.
"""

import gc
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nmt.api.loading import LoadedJob
from nmt.operating_system import STOP_SIGNALS, fork_process, receive_socket
from nmt.serve.alternatives import Pauses
from nmt.serve.batching import Event, RunningSearches, describe_error
from nmt.serve.channel import Channel
from nmt.serve.inspection import Answer, Inspection
from nmt.serve.model_files import LoadedFiles, load_models
from nmt.serve.requests import LineRequest, ModelSource

REPORT_INTERVAL = 0.25  # seconds between reports of a busy worker if there are no results


class Start(NamedTuple):
    """The message that starts a request."""

    ticket: int
    request: LineRequest | Inspection
    is_streamed: bool


class Cancellation(NamedTuple):
    """The message that ends a request."""

    ticket: int


class WorkerReport(NamedTuple):
    """The message of a worker about its results and its load."""

    pid: int
    received: int  # messages so far
    live: int  # sentences in its batches
    positions: int  # advanced so far
    events: Sequence[Event]


def run_template(control: socket.socket, sources: Sequence[ModelSource], trust_code: bool) -> None:
    """Load the models, send their facts or an error, then fork a worker for each socket that comes."""
    _ignore_signals()
    models = _load(Channel(control), sources, trust_code)
    while models and (connection := receive_socket(control)) is not None:
        fork_process(lambda connection=connection: _run_forked(control, connection, models))  # type: ignore[misc]
        connection.close()


def _run_forked(control: socket.socket, connection: socket.socket, models: Mapping[str, LoadedJob]) -> None:
    control.close()
    run_worker(Channel(connection), models)


def run_separate_worker(connection: socket.socket, sources: Sequence[ModelSource], trust_code: bool) -> None:
    """Load the models, send their facts or an error, then work."""
    _ignore_signals()
    channel = Channel(connection)
    if models := _load(channel, sources, trust_code):
        run_worker(channel, models)


def _ignore_signals() -> None:
    """Leave Ctrl-C and SIGTERM to the service: a worker ends when its channel is closed."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _load(channel: Channel, sources: Sequence[ModelSource], trust_code: bool) -> dict[str, LoadedJob]:
    answer: list[LoadedFiles] | Exception
    loaded = dict[str, LoadedJob]()
    gc.disable()
    try:
        loaded, answer = load_models(sources, trust_code=trust_code)
    except Exception as error:
        answer = describe_error(error)
    gc.freeze()  # the collector does not touch, and so not copy, the memory of the models
    gc.enable()
    try:
        channel.send(answer)
    except OSError:  # the service has ended meanwhile
        return {}
    return loaded


def run_worker(channel: Channel, models: Mapping[str, LoadedJob]) -> None:
    """Work until the channel is closed."""
    searches = RunningSearches({name: one.job for name, one in models.items()})
    reported, received, pid = 0.0, 0, os.getpid()
    try:
        channel.send(WorkerReport(pid, received, 0, 0, []))
        while True:
            for message in channel.receive(wait=searches.is_idle):
                received += 1
                if isinstance(message, Cancellation):
                    searches.cancel(message.ticket)
                elif isinstance(message.request, Inspection):
                    searches.inspect(message.ticket, answer_question(models, message.request))
                else:
                    searches.add(message.ticket, message.request, is_streamed=message.is_streamed)
            events = searches.advance()
            if events or searches.is_idle or time.monotonic() - reported > REPORT_INTERVAL:
                channel.send(WorkerReport(pid, received, searches.live, searches.positions, events))
                reported = time.monotonic()
    except (EOFError, OSError):
        return


def answer_question(models: Mapping[str, LoadedJob], request: Inspection) -> Pauses[Answer]:
    """Return the answer to a question, with the pauses of its search."""
    return (yield from request.answer(models[request.model]))
