"""Public test sets, such as those of WMT, as sacreBLEU knows, downloads and keeps them."""

import os
from pathlib import Path

from nmt.data.text import read_lines
from nmt.errors import DataError, UsageError, suggestion


def read_references(test_set: str, languages: str | None) -> list[list[str]]:
    """Return the references of a test set, such as `wmt17`, for a pair of languages, such as `en-de`.

    Raises UsageError if sacreBLEU knows no such set or pair, DataError if its data can be neither found nor
    downloaded.
    """
    from sacrebleu.dataset import DATASETS
    from sacrebleu.utils import SACREBLEU_DIR

    if test_set not in DATASETS:
        raise UsageError(f"sacreBLEU has no test set '{test_set}', {suggestion(test_set, sorted(DATASETS))}")
    dataset = DATASETS[test_set]
    pairs = sorted(dataset.langpairs)
    if languages is None:
        raise UsageError(f"--test-set {test_set} needs a pair of languages, --language: {', '.join(pairs)}")
    if languages not in pairs:
        raise UsageError(f"{test_set} has no pair of languages '{languages}', {suggestion(languages, pairs)}")
    try:
        files = dataset.get_reference_files(languages)  # type: ignore[no-untyped-call]
    except (Exception, SystemExit) as error:  # SystemExit: a wrong checksum, which sacreBLEU has printed
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise DataError(
            f"{test_set} {languages} is not in {os.path.join(SACREBLEU_DIR, test_set)}, and sacreBLEU could "
            f"not download it from {' and '.join(dataset.data or [])}: {reason}\n"
            f"on a machine with a connection, run: sacrebleu -t {test_set} -l {languages} --echo src, and "
            "copy that directory (SACREBLEU names another parent); or give the references with --ref"
        ) from None
    return [list(read_lines(Path(file))) for file in files]
