"""Runtimes: what turns a target as the user names it into an open sandbox."""
