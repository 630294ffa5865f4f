"""Serve a model with Ray Serve: each replica holds a `Service`, whose batches requests enter while they run.

    pip install 'ray[serve]' 'recurrent-nmt[serve]'
    MODEL=runs/mine serve run ray_serve:app            # from this folder
    curl localhost:8000 -d '{"text": "Ein Haus."}'     # {"translation": "A house."}

Ray balances, scales and restarts the replicas; a replica is stateless. It has one CPU for its worker process,
which does the searching.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from ray import serve

from nmt.decoding.job import Line
from nmt.serve.requests import LineRequest, ModelSource
from nmt.serve.service import Service


@serve.deployment(max_ongoing_requests=256, ray_actor_options={"num_cpus": 1})
class Translation:
    """A model behind HTTP: JSON with `text` gives JSON with `translation`."""

    def __init__(self, path: str) -> None:
        self._service = Service([ModelSource("model", path)])
        self._start: asyncio.Future[None] | None = None

    async def translate(self, text: str) -> str:
        """Translate a line."""
        self._start = self._start or asyncio.ensure_future(self._service.start())
        await asyncio.shield(self._start)
        found = await self._service.translate(LineRequest("model", Line(1, text)))
        return found.text

    async def __call__(self, request: Any) -> dict[str, str]:
        """Answer an HTTP request."""
        return {"translation": await self.translate((await request.json())["text"])}


app = Translation.bind(str(Path(os.environ["MODEL"]).resolve()))  # type: ignore[attr-defined]
