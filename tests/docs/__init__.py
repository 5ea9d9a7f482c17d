"""The examples of README and docs, executed; the reference, held against the program."""
