"""The command line: one file per verb, assembled in `app`."""

import gc
import sys

from nmt.errors import MissingPackage, report_missing_packages

INTERRUPTED = 130


def main() -> None:
    """Entry point of the console script."""
    try:
        with report_missing_packages():
            from nmt.cli import app

            app.main()
    except MissingPackage as error:  # that the command line itself imports
        sys.exit(f"nmt: {error}")
    except KeyboardInterrupt:  # during the import
        print("nmt: stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    finally:
        gc.freeze()  # otherwise Python traverses all objects of PyTorch at exit, for a third of a second


__all__ = ["main"]
