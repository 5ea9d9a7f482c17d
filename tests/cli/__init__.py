"""The command line against an engine that only pretends."""
