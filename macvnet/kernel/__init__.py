"""Everything that touches the kernel: namespaces, netlink, sysctls, raw frames.

pyroute2 is known here and nowhere else.
"""
