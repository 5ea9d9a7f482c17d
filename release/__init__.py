"""What is handed out: wheel, sdist and the single file macvnet.pyz. ``make dist``.

Knows how each is made, the same bytes for the same commit; must not be imported
by the program.
"""
