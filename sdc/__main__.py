"""``python -m sdc``."""

from sdc.cli import main

raise SystemExit(main())
