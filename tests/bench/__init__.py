"""What macvnet costs, beside its peers, measured in one run: ``make bench``.

Real programs, the real kernel, namespaces of its own. Nothing here ever fails
because something was slow: it measures and prints, and people judge.
"""
