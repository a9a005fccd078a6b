"""`python -m turnwise.agents` is the command `turnwise`."""

import sys

from turnwise.agents.cli import main

sys.exit(main())
