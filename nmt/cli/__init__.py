"""The command line: one file per verb, put together in `app`."""

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
    except MissingPackage as error:  # of the command line itself
        sys.exit(f"nmt: {error}")
    except KeyboardInterrupt:  # while it is imported
        print("nmt: stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    finally:
        gc.freeze()  # or Python looks through all objects of PyTorch at exit, a third of a second


__all__ = ["main"]
