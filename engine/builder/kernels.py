"""Decorators of the kernels that run inside other kernels only, and one that several share.

numba counts references to every array that is unpacked from a tuple or passed on, with locked instructions, inside
loops too. Kernels that allocate nothing need none of it, which saves a third of the time of an edge collapse; and
without entry points for Python they compile faster. "njit" in the names is what kernel_cache.py looks for.
"""

from numba import njit

_OPTIONS = {"nogil": True, "cache": True, "error_model": "numpy"}
_INNER = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

bare_njit = njit(**_OPTIONS, **_INNER)  # may not allocate; called from kernels only
inline_njit = njit(**_OPTIONS, **_INNER, forceinline=True)  # the same, copied into its callers


@bare_njit
def find_root(parent, i):
    """Return the element that stands for the set of i, and shorten the way to it (path halving, Tarjan 1975)."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i
