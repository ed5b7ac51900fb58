"""The server with a journal that writes nothing, to measure what the journal costs."""

import sys

from boatyard.api.__main__ import main
from boatyard.journal import Journal

Journal.append = lambda *_: None

if __name__ == "__main__":
    sys.exit(main())
