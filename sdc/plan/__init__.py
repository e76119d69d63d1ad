"""From a config to what the Snakefile needs: pure functions."""

from sdc.plan import ablations, cells, checks, entries, resources, selections, shards

__all__ = ["ablations", "cells", "checks", "entries", "resources", "selections", "shards"]
