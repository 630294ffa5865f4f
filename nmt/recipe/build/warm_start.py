"""Starting a run from another one's weights: fine-tuning, and models that grow."""

from pathlib import Path
from nmt.errors import UsageError
from nmt.model.translator import Translator
from nmt.recipe.artifact import load
from nmt.training.snapshot import transfer_tensors


def started(model: Translator, start: Path) -> str:
    """Take over what fits of the model in `start`; gives what was and was not, for people.

    Raises UsageError where nothing fits.
    """
    found = transfer_tensors(model, load(start).model)
    if not found.copied:
        raise UsageError(f"training.start_from: no weight of {start} fits this model")
    whole = len(found.copied) + len(found.new) + len(found.mismatched)
    parts = [f"starting from {start}: {len(found.copied)} of {whole} tensors taken over"]
    reasons = {"new here": found.new, "of another shape": found.mismatched, "without a place here": found.unused}
    parts += [f"{reason}: {', '.join(names)}" for reason, names in reasons.items() if names]
    return "\n  ".join(parts)
