"""The command line: docker network's words and flag syntax, over the engine."""
