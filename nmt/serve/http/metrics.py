"""Metrics of the server in the text format of Prometheus."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from nmt import __version__
from nmt.serve.requests import ServedModel, Statistics

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds
COUNTERS = {
    "positions": "Target positions advanced, summed over all sentences.",
    "translated": "Lines translated.",
    "failed": "Lines with an error or beyond their time limit.",
    "cancelled": "Lines whose client went away.",
    "restarts": "Workers that died and were replaced.",
    "reloads": "Models that changed and were loaded again.",
}
GAUGES = {
    "waiting": "Lines that no worker has yet.",
    "running": "Lines that workers have.",
    "live_sentences": "Sentences in the running batches.",
    "workers": "Workers that are alive.",
}


@dataclass
class RequestMetrics:
    """Counts of requests, by path and status, and their durations."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    buckets: defaultdict[str, list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0] * (len(BOUNDS) + 1))
    )
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    characters: int = 0

    def record(self, path: str, status: int, seconds: float) -> None:
        """Count a request that has been answered."""
        self.requests[path, status] += 1
        self.buckets[path][bisect_left(BOUNDS, seconds)] += 1
        self.seconds[path] += seconds

    def format(self, statistics: Statistics, models: Mapping[str, ServedModel]) -> str:
        """Return all metrics as text."""
        return "\n".join([*self._lines(statistics, models), ""])

    def _lines(self, statistics: Statistics, models: Mapping[str, ServedModel]) -> Iterator[str]:
        yield from _head("nmt_info", "gauge", "Version of the program.")
        yield f'nmt_info{{version="{__version__}"}} 1'
        yield from _head("nmt_model_info", "gauge", "Models that are served.")
        for model in models.values():
            source, target = model.languages
            names = {"model": model.name, "source": source, "target": target, "precision": model.precision}
            yield f"nmt_model_info{_labels(names)} 1"
        yield from _head("nmt_requests_total", "counter", "Requests answered.")
        for (path, status), count in sorted(self.requests.items()):
            yield f"nmt_requests_total{_labels({'path': path, 'status': str(status)})} {count}"
        yield from _head(
            "nmt_request_seconds", "histogram", "Time from the request to the end of its answer."
        )
        for path, counts in sorted(self.buckets.items()):
            for index, bound in enumerate([*map(str, BOUNDS), "+Inf"], 1):
                labels = _labels({"path": path, "le": bound})
                yield f"nmt_request_seconds_bucket{labels} {sum(counts[:index])}"
            yield f"nmt_request_seconds_sum{_labels({'path': path})} {self.seconds[path]:.6f}"
            yield f"nmt_request_seconds_count{_labels({'path': path})} {sum(counts)}"
        yield from _head("nmt_characters_total", "counter", "Characters of the texts of all requests.")
        yield f"nmt_characters_total {self.characters}"
        for name, text in COUNTERS.items():
            yield from _head(f"nmt_{name}_total", "counter", text)
            yield f"nmt_{name}_total {getattr(statistics, name)}"
        for name, text in GAUGES.items():
            yield from _head(f"nmt_{name}", "gauge", text)
            yield f"nmt_{name} {getattr(statistics, name)}"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _labels(labels: Mapping[str, str]) -> str:
    escaped = {
        name: value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        for name, value in labels.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"
