"""The program's first moment: `kakehashi`, and `python -m gateway`.

Python raises a Ctrl-C in whatever runs just then. While modules are imported that may be a callback of the import
itself, which swallows it, and the program goes on for ever; or it comes out as a page of traceback. So until somebody
listens for it, Ctrl-C ends the program, as it ends any other.
"""

import signal
import sys


def main() -> None:
    """Read the command line, and do what it says."""
    listened = signal.getsignal(signal.SIGINT)
    if listened is signal.default_int_handler:  # not, where whoever started it in the background has it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from gateway.cli import main as command  # noqa: PLC0415 - a second's work, see above

    if sys.argv[1:2] != ["serve"]:  # that one reads its configuration first, and listens itself when it runs
        signal.signal(signal.SIGINT, listened)
    command()


if __name__ == "__main__":
    main()
