"""What makes macvnet part of a host: files for others to read, shipped as data in this package.

Knows where they go and how to tell one of ours from somebody else's; starts no
program and must not know the engine.
"""
