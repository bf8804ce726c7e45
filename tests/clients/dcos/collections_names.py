"""Puts the names that Python 3.10 removed from `collections` back, for clients that were written before."""
import collections
import collections.abc

for name in collections.abc.__all__:
    if not hasattr(collections, name):
        setattr(collections, name, getattr(collections.abc, name))
